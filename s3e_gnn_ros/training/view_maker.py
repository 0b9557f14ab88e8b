"""From an image to a view: the encoder's own keypoints and patches, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.encoder.patches import Patches, cut_patches
from s3e_gnn_ros.encoder.selection import select_keypoints
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.training.degradation import Degradation
from s3e_gnn_ros.training.photometric import Image, Rng
from s3e_gnn_ros.training.view_group import View
from s3e_gnn_ros.types import Frame


@dataclass(frozen=True)
class PatchOptions:
    """How patches are cut, as :class:`EncoderConfig` has it, for training.

    Attributes:
        form: 'improved' or 'paper'.
        patch_size_px: P.
        num_scales: C of the improved form.
        sampled_size_px: S of the improved form; the paper's is P.
        num_patches: stored per view; training draws some of them anew each time.
        selection: how they are chosen among the keypoints.
        num_features: ORB keypoints detected.

    Raises:
        ConfigError: a value no encoder takes.
    """

    form: str = 'improved'
    patch_size_px: int = 64
    num_scales: int = 2
    sampled_size_px: int = 16
    num_patches: int = 192
    selection: str = 'response'
    num_features: int = 1000

    def __post_init__(self) -> None:
        """Refuse what an encoder would."""
        EncoderConfig(
            form=self.form,
            patch_size_px=self.patch_size_px,
            num_scales=self.num_scales,
            sampled_size_px=self.sampled_size_px,
            num_patches=self.num_patches,
            selection=self.selection,
        )

    @property
    def margin_px(self) -> float:
        """Distance that patches keep from the border."""
        return self.patch_size_px / 2 if self.form == 'paper' else 0.0


class ViewMaker:
    """Spoils images, and cuts the patches an encoder would find in what is left.

    Args:
        patches: how patches are cut.
        degradation: what happens to an image first.
    """

    def __init__(self, patches: PatchOptions, degradation: Degradation) -> None:
        self._options = patches
        self._degradation = degradation
        self._orb = OrbExtractor(FeatureConfig(num_features=patches.num_features))

    def cut(self, image: Image, rng: Rng) -> tuple[Patches, NDArray[np.bool_]]:
        """Spoil an image and cut its patches.

        Returns:
            The n patches, and (n,) whether something in the way hides their centre.
        """
        image, is_hidden = self._degradation.apply(image, rng)
        height, width = image.shape[:2]
        camera = PinholeCamera(width, height, width, width, (width - 1) / 2, (height - 1) / 2)
        options = self._options
        keypoints = select_keypoints(
            self._orb.extract(Frame(0, image, camera)),
            image,
            options.num_patches,
            options.selection,
            rng_seed=int(rng.integers(2**31)),
            margin_px=options.margin_px,
        )
        patches = cut_patches(
            image,
            keypoints,
            options.form,
            options.patch_size_px,
            options.sampled_size_px,
            options.num_scales,
        )
        columns, rows = np.round(patches.points_px).astype(np.intp).T
        hidden = is_hidden[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        return patches, hidden


def make_view(
    patches: Patches, landmarks: NDArray[np.floating], spacing: NDArray[np.floating]
) -> View:
    """Join patches with their truth; a patch without a landmark has no spacing either."""
    landmarks = np.asarray(landmarks, np.float32)
    is_known = np.isfinite(landmarks).all(axis=1)
    return View(
        pixels=patches.pixels,
        points_px=patches.points_px,
        sizes_px=patches.sizes_px,
        angles_deg=patches.angles_deg,
        is_detected=patches.keypoint_index >= 0,
        landmarks=np.where(is_known[:, None], landmarks, np.float32(np.nan)),
        spacing=np.where(is_known, spacing, np.nan).astype(np.float32),
        image_size=np.array(patches.image_size, np.int32),
    )
