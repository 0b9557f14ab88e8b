"""What is kept of a keyframe to verify loops against it: no image, depth at low resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.types import Encoding, Features, Frame, Keyframe

_DEPTH_WIDTH_PX = 160


@dataclass(frozen=True, eq=False)
class DepthImage:
    """A depth image with the camera of its own resolution.

    Attributes:
        depth_m: (H, W) float32 z-depth; 0 where unknown.
        camera: intrinsics of ``depth_m``.
    """

    depth_m: NDArray[np.float32]
    camera: PinholeCamera


@dataclass(frozen=True, eq=False)
class PatchDescriptors:
    """The encoder's local descriptors of the patches that were cut around features.

    Attributes:
        descriptors: (n, E) float16, unit length.
        feature_index: (n,) the feature of each.
    """

    descriptors: NDArray[np.float16]
    feature_index: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class View:
    """One keyframe as verification sees it: about 200 kB with 1,000 features and depth.

    Attributes:
        keyframe_id: of the keyframe.
        session: of the keyframe.
        stamp_ns: of the keyframe.
        camera: intrinsics the features were found with.
        features: local features.
        depth: depth at a width of about 160 px, or None.
        patches: local descriptors of the encoder, or None without an encoder.
    """

    keyframe_id: int
    session: int
    stamp_ns: int
    camera: PinholeCamera
    features: Features
    depth: DepthImage | None
    patches: PatchDescriptors | None = None


def make_view(keyframe: Keyframe) -> View:
    """Keep what verification needs of a keyframe."""
    return View(
        keyframe_id=keyframe.keyframe_id,
        session=keyframe.session,
        stamp_ns=keyframe.stamp_ns,
        camera=keyframe.frame.camera,
        features=keyframe.features,
        depth=_reduce_depth(keyframe.frame),
        patches=None if keyframe.encoding is None else patch_descriptors(keyframe.encoding),
    )


def patch_descriptors(encoding: Encoding) -> PatchDescriptors:
    """Keep the descriptors of patches that belong to a feature; none of an encoder without."""
    has_feature = encoding.keypoint_index >= 0
    if encoding.descriptors.shape[1] == 0:
        has_feature = np.zeros_like(has_feature)
    return PatchDescriptors(
        encoding.descriptors[has_feature].astype(np.float16),
        encoding.keypoint_index[has_feature],
    )


def _reduce_depth(frame: Frame) -> DepthImage | None:
    """Take every n-th pixel: an average would invent surfaces at depth edges."""
    if frame.depth_m is None:
        return None
    camera = frame.camera
    step = max(1, round(camera.width / _DEPTH_WIDTH_PX))
    depth_m = np.ascontiguousarray(frame.depth_m[::step, ::step])
    height, width = depth_m.shape
    return DepthImage(
        depth_m,
        PinholeCamera(
            width=width,
            height=height,
            fx=camera.fx / step,
            fy=camera.fy / step,
            cx=camera.cx / step,
            cy=camera.cy / step,
            distortion=camera.distortion,
            distortion_model=camera.distortion_model,
        ),
    )
