"""Scenes refuse what compiled code could not survive; mipmaps keep the mean."""

from dataclasses import replace

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.scene import MAX_MIP_LEVELS, make_mipmaps


@pytest.mark.parametrize(
    'change',
    [
        {'texture_ids': lambda s: s.texture_ids + 1},
        {'texture_ids': lambda s: s.texture_ids - 1},
        {'uvs': lambda s: s.uvs[1:]},
        {'light': lambda s: s.light * np.float32(np.nan)},
        {'triangles_m': lambda s: s.triangles_m[:, :2]},
    ],
)
def test_refuses(hall, change):
    with pytest.raises(InputError, match='scene'):
        replace(hall, **{name: make(hall) for name, make in change.items()})


def test_normals_are_unit_and_boxes_face_outwards(hall):
    middle = hall.triangles_m.mean(axis=1)
    outwards = middle - (2, 1.5, 1.25)
    assert np.allclose(np.linalg.norm(hall.normals, axis=1), 1, atol=1e-5)
    assert (np.einsum('ij,ij->i', outwards, hall.normals) > 0).all()


def test_mipmaps_halve_and_keep_the_mean():
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    mip = make_mipmaps((image, image[:16, :16]))
    assert mip.widths[0].tolist() == [128, 64, 32, 16, 8, 8, 8, 8]
    assert mip.heights[0].tolist() == [64, 32, 16, 8, 4, 4, 4, 4]
    assert mip.offsets.shape == (2, MAX_MIP_LEVELS)
    for level in range(4):
        size = mip.widths[0, level] * mip.heights[0, level]
        texels = mip.texels[mip.offsets[0, level] :][:size]
        assert np.abs(texels.mean(axis=0) - image.mean(axis=(0, 1))).max() < 1.5
    assert (mip.texels[mip.offsets[1, 0] :][:256] == image[:16, :16].reshape(-1, 3)).all()
