"""Textures from a folder of pictures: repeatable, of the size asked for, errors said."""

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.picture_folder import load_pictures


@pytest.fixture(name='folder')
def _folder(tmp_path):
    (tmp_path / 'more').mkdir()
    for k, name in enumerate(('a.png', 'b.jpg', 'more/c.png')):
        picture = np.random.default_rng(k).integers(0, 255, (90, 120, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / name), picture)
    return tmp_path


def test_draws_by_seed(folder):
    pictures = load_pictures(folder)
    assert [path.name for path in pictures.paths] == ['a.png', 'b.jpg', 'c.png']
    draws = [pictures.poster(np.random.default_rng(seed), 200, 150) for seed in (1, 1, 2)]
    assert all(image.shape == (150, 200, 3) for image in draws)
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).any()


def test_surface_covers_its_base(folder):
    base = np.full((260, 700, 3), 120, np.uint8)
    covered = load_pictures(folder).surface(np.random.default_rng(0), base, 100)
    assert covered.shape == base.shape
    assert covered.std() > 5


def test_refuses(tmp_path):
    with pytest.raises(InputError, match='no folder'):
        load_pictures(tmp_path / 'missing')
    with pytest.raises(InputError, match='holds no jpg'):
        load_pictures(tmp_path)
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    with pytest.raises(InputError, match=r'broken\.png'):
        load_pictures(tmp_path).draw(np.random.default_rng(0), 20, 20)
