"""What is known of one image, as the callers of DBoW2 have it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.features import OrbExtractor, depth_at
from s3e_gnn_ros.encoder.image_planes import as_grey, check_image
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.retrieval.vocabulary import check_descriptors
from s3e_gnn_ros.types import Features, Frame

_ORB_SIZE_PX = 31.0


@dataclass(frozen=True, eq=False)
class ImageFeatures:
    """An image, its features, or both: 's3e' needs the image, 'bow' is content with descriptors.

    Attributes:
        image: (H, W) grey, (H, W, 3) BGR or (H, W, 4) BGRA, uint8. 's3e' embeds it; ORB is
            computed in it where ``descriptors`` are missing.
        keypoints_px: (N, 2) x and y of the front end's keypoints. Without ``descriptors``, ORB
            describes these and those that it finds beside them.
        descriptors: (N, 32) uint8 ORB, of the keypoints where these are given. Nothing else:
            other binary descriptors (BRIEF) mean nothing to a vocabulary of ORB.
        camera: intrinsics of the image; for ``GeometricalCheck.POSE``.
        depth_m: (H, W) float32 z-depth aligned to the image, 0 unknown; for the same.

    Raises:
        InputError: neither image nor descriptors, or arrays that do not fit together.
    """

    image: NDArray[np.uint8] | None = None
    keypoints_px: NDArray[np.floating] | None = None
    descriptors: NDArray[np.uint8] | None = None
    camera: PinholeCamera | None = None
    depth_m: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be used."""
        if self.image is None and self.descriptors is None:
            raise InputError('an image without pixels needs descriptors, and here are neither')
        if self.image is not None:
            check_image(self.image)
        if self.descriptors is not None:
            check_descriptors(self.descriptors)
        self._check_keypoints()
        self._check_sizes()

    @property
    def size_px(self) -> tuple[int, int] | None:
        """Width and height of image, camera or depth, whichever is there; None without."""
        if self.image is not None:
            return self.image.shape[1], self.image.shape[0]
        if self.camera is not None:
            return self.camera.width, self.camera.height
        return None if self.depth_m is None else (self.depth_m.shape[1], self.depth_m.shape[0])

    def _check_keypoints(self) -> None:
        if self.keypoints_px is None:
            return
        shape = np.shape(self.keypoints_px)
        if len(shape) != 2 or shape[1] != 2:
            raise InputError(f'keypoints are {shape} instead of (N, 2)')
        if not np.isfinite(self.keypoints_px).all():
            raise InputError('keypoints hold a value that is not finite')
        if self.descriptors is not None and len(self.descriptors) != shape[0]:
            raise InputError(f'{len(self.descriptors)} descriptors belong to {shape[0]} keypoints')

    def _check_sizes(self) -> None:
        camera, depth_m = self.camera, self.depth_m
        if camera is not None and self.size_px != (camera.width, camera.height):
            raise InputError(
                f'image is {self.size_px} [px], its camera {camera.width, camera.height}'
            )
        if depth_m is not None and depth_m.shape[::-1] != self.size_px:
            raise InputError(f'depth is {depth_m.shape[::-1]} [px], the image {self.size_px}')


def as_image_features(features: ImageFeatures | NDArray[np.uint8]) -> ImageFeatures:
    """Take DBoW2's bare descriptors (N, 32) for what they are.

    Raises:
        InputError: an array of another shape or type.
    """
    if isinstance(features, ImageFeatures):
        return features
    try:
        return ImageFeatures(descriptors=features)
    except InputError as err:
        raise InputError(f'{err}; an image goes into ImageFeatures(image=...)') from err


def local_features(given: ImageFeatures, extractor: OrbExtractor) -> Features:
    """Return the ORB features of an image: the caller's, or those found in the image.

    Without keypoints to the descriptors, ``points_px`` is NaN. Without a camera,
    ``points_normalised`` are pixels. Landmarks are known where depth and camera are.
    """
    if given.descriptors is not None:
        return _own_features(given, given.descriptors)
    assert given.image is not None  # one of the two is there
    image = as_grey(given.image)
    camera = _camera(given)
    depth_m = given.depth_m if given.camera is not None else None
    frame = Frame(0, image, camera, depth_m)
    if given.keypoints_px is None:
        return extractor.extract(frame)
    return extractor.extract_at(frame, given.keypoints_px)


def _own_features(given: ImageFeatures, descriptors: NDArray[np.uint8]) -> Features:
    """Wrap keypoints and descriptors that come from elsewhere."""
    N = len(descriptors)
    points_px = np.full((N, 2), np.nan, dtype=np.float32)
    normalised = np.full((N, 2), np.nan)
    landmarks_m = np.full((N, 3), np.nan)
    if given.keypoints_px is not None:
        points_px = np.asarray(given.keypoints_px, dtype=np.float32)
        normalised = points_px.astype(np.float64)
        if given.camera is not None:
            normalised = given.camera.normalise(points_px)
        if given.camera is not None and given.depth_m is not None and N:
            z = depth_at(given.depth_m, points_px)
            z[z <= 0] = np.nan
            landmarks_m = np.column_stack([normalised * z[:, None], z])
    return Features(
        points_px=points_px,
        points_normalised=normalised,
        sizes_px=np.full(N, _ORB_SIZE_PX, dtype=np.float32),
        angles_deg=np.zeros(N, dtype=np.float32),
        responses=np.ones(N, dtype=np.float32),
        descriptors=descriptors,
        landmarks_m=landmarks_m,
    )


def _camera(given: ImageFeatures) -> PinholeCamera:
    if given.camera is not None:
        return given.camera
    assert given.size_px is not None  # of the image
    return PinholeCamera(*given.size_px, 1, 1, 0, 0)
