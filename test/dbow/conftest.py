"""Places made of corners: 150 points with descriptors that two cameras see from nearby."""

from __future__ import annotations

import numpy as np
import pytest
import synthetic

from s3e_gnn_ros.dbow import ImageFeatures
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.retrieval.training import train_vocabulary

NUM_PLACES = 30
STEP = 60  # corners that are new in each place; the other 90 are those of the place before it


class Street:
    """A row of places whose corners overlap with those of the next one.

    Args:
        seed: of corners and descriptors.
    """

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        count = STEP * (NUM_PLACES + 2)
        self.descriptors = synthetic.random_descriptors(count, rng)
        self.points = rng.uniform((-1.0, -0.7, 2.0), (1.0, 0.7, 5.0), (count, 3))

    def see(self, place: int, seed: int = 0, *, sideways_m: float = 0.0) -> ImageFeatures:
        """Return the features of a place in random order, with a few wrong bits."""
        rng = np.random.default_rng((place, seed))
        corners = rng.permutation(np.arange(STEP * place, STEP * place + 150))
        noise = np.packbits(rng.random((150, 256)) < 0.03, axis=1)
        turned = se3.expmap([0.02, sideways_m / 3, 0.01, sideways_m, 0.02, sideways_m / 2])
        pixels = synthetic.CAMERA.project(se3.transform_points(turned, self.points[corners]))
        return ImageFeatures(
            keypoints_px=pixels.astype(np.float32),
            descriptors=self.descriptors[corners] ^ noise,
        )


@pytest.fixture(scope='session')
def street():
    return Street()


@pytest.fixture(scope='session')
def vocabulary(street):
    images = [street.see(place, seed).descriptors for place in range(30) for seed in (100, 101)]
    return train_vocabulary(images, branching=6, depth=4)
