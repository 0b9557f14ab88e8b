"""Photographs: scenes, copies and the split."""

import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.training.photos import Photo, list_photos, read_photo, split_photos


def test_scenes_are_places_videos_and_copies(photo_folder):
    photos = {photo.path.name: photo for photo in list_photos(photo_folder)}
    assert len({photo.scene for photo in photos.values()}) == 4
    assert photos['room__image_0009.jpg'].scene == photos['room__image_0001.png'].scene
    assert photos['room__image_0000.png'].scene != photos['room__image_0001.png'].scene
    assert photos['floor7__stairs_frame_000000.png'].scene == 'floor7'
    assert photos['floor7__stairs_frame_000001.png'].site == 'floor'


def test_split_is_seeded_by_site_and_stable(tmp_path):
    photos = [Photo(tmp_path / str(k), f'scene{k}', f'site{k // 2}') for k in range(400)]
    training, validation = split_photos(photos, 0.2, seed=0)
    assert not {p.site for p in training} & {p.site for p in validation}
    assert 0.1 < len(validation) / 400 < 0.3
    assert (
        split_photos(photos[:100], 0.2, seed=0)[1]
        == validation[: len([p for p in validation if p in photos[:100]])]
    )
    assert split_photos(photos, 0.2, seed=1)[1] != validation


def test_a_folder_without_photographs_and_a_broken_one_are_told(tmp_path):
    with pytest.raises(InputError, match='no photographs'):
        list_photos(tmp_path)
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    with pytest.raises(InputError, match='cannot read'):
        read_photo(tmp_path / 'broken.jpg')
