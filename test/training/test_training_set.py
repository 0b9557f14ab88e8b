"""From photographs to batches: truth, determinism, damage, resuming, mirroring."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from s3e_gnn_ros.encoder.patches import cut_patches
from s3e_gnn_ros.encoder.selection import PatchKeypoints
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.training.build import build_training_set
from s3e_gnn_ros.training.correspondences import correspondences
from s3e_gnn_ros.training.degradation import Degradation
from s3e_gnn_ros.training.pair_sampling import overlap_bins
from s3e_gnn_ros.training.photo_views import PhotoGroups, PhotoViewOptions
from s3e_gnn_ros.training.photos import list_photos
from s3e_gnn_ros.training.shards import MANIFEST, ViewShards
from s3e_gnn_ros.training.view_dataset import ViewDataset, mirror
from s3e_gnn_ros.training.view_maker import PatchOptions

CLEAN = Degradation(0, 0, 0, 0, 0, 0, 0, 0, 0)
OPTIONS = PhotoViewOptions(
    num_views=2, sizes=((240, 180),), patches=PatchOptions(num_patches=48, num_features=300)
)


@pytest.fixture(scope='module')
def source(photo_folder):
    return PhotoGroups(list_photos(photo_folder), OPTIONS)


@pytest.fixture(scope='module')
def training_set(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp('sets') / 'one'
    build_training_set(source, folder, 8, groups_per_shard=3)
    return folder


def match(view_a, view_b, tolerance_px=2.0):
    truth = (view_a.landmarks, view_a.spacing, view_b.landmarks, view_b.spacing)
    return correspondences(*map(torch.from_numpy, truth), tolerance_px).numpy()


def test_corresponding_patches_look_alike(photo_folder):
    """The whole chain at once: cameras, ORB, angle, scale, patches and landmarks."""
    options = replace(OPTIONS, degradation=CLEAN)
    correlations, by_chance = [], []
    for group in PhotoGroups(list_photos(photo_folder), options).make_groups(0, 6):
        a, b = group.views
        matches = match(a, b)
        left = a.pixels[matches >= 0][:, 0].reshape(-1, 256).astype(float)
        right = b.pixels[matches[matches >= 0]][:, 0].reshape(-1, 256).astype(float)
        correlations += [np.corrcoef(p, q)[0, 1] for p, q in zip(left, right, strict=True)]
        shifted = np.roll(right, 1, axis=0)
        by_chance += [np.corrcoef(p, q)[0, 1] for p, q in zip(left, shifted, strict=True)]
    assert len(correlations) > 25
    assert np.median(correlations) > 0.5
    assert np.median(by_chance) < 0.4


def test_points_behind_things_in_the_way_have_no_landmark(photo_folder):
    options = replace(OPTIONS, degradation=replace(CLEAN, occlusion=1.0))
    views = [
        view
        for group in PhotoGroups(list_photos(photo_folder), options).make_groups(0, 4)
        for view in group.views
    ]
    hidden = np.concatenate([np.isnan(view.landmarks).any(axis=1) for view in views])
    assert 0 < hidden.mean() < 0.6
    assert (np.concatenate([np.isnan(view.spacing) for view in views]) == hidden).all()


def test_every_photograph_has_its_turn(source):
    sources = [group.source for group in source.make_groups(0, 12)]
    assert len(set(sources[:6])) == len(set(sources[6:])) == 6
    assert next(iter(source.make_groups(7, 8))).source == sources[7]


def test_bytes_do_not_depend_on_workers(source, training_set, tmp_path):
    build_training_set(source, tmp_path / 'two', 8, workers=2, groups_per_shard=3)
    names = sorted(path.name for path in training_set.iterdir())
    assert len(names) == 4
    for name in names:
        assert (tmp_path / 'two' / name).read_bytes() == (training_set / name).read_bytes()


def test_what_was_written_is_read(source, training_set):
    shards = ViewShards(training_set)
    assert len(shards) == 8
    assert shards.options['patches']['form'] == 'improved'
    for number, group in enumerate(source.make_groups(0, 4)):
        read = shards.read(number, ('pixels', 'landmarks', 'overlap'))
        assert (read['pixels'][1] == group.views[1].pixels).all()
        np.testing.assert_array_equal(read['landmarks'][0], group.views[0].landmarks)
        assert (read['overlap'] == group.overlap).all()
        assert shards.scenes[number] == group.scene


def test_a_folder_in_use_and_wrong_numbers_are_refused(source, training_set, tmp_path):
    with pytest.raises(InputError, match='holds a training set already'):
        build_training_set(source, training_set, 1)
    with pytest.raises(ConfigError, match='0 groups'):
        build_training_set(source, tmp_path / 'new', 0)


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda f: (f / MANIFEST).unlink(), 'no training set'),
        (lambda f: (f / MANIFEST).write_text('{"format"'), 'damaged'),
        (lambda f: (f / MANIFEST).write_text('{}'), 'no manifest'),
        (lambda f: _edit(f, version=99), 'version 99'),
        (lambda f: _edit(f, shards=[{'name': 'x'}]), 'damaged'),
        (lambda f: next(f.glob('views-*')).unlink(), 'missing'),
        (lambda f: _flip_byte(next(f.glob('views-*'))), 'SHA-256'),
        (lambda f: next(f.glob('views-*')).write_bytes(b'short'), '5 bytes instead of'),
    ],
)
def test_damage_is_told_in_one_sentence(training_set, tmp_path, damage, message):
    folder = tmp_path / 'copy'
    shutil.copytree(training_set, folder)
    damage(folder)
    with pytest.raises(InputError, match=message):
        ViewShards(folder)


def _edit(folder, **changes):
    content = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**content, **changes}))


def _flip_byte(path):
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def test_a_batch_has_the_shapes_it_says(training_set):
    batch = ViewDataset([training_set], 3, num_patches=16)[0]
    assert batch.pixels.shape == (3, 2, 16, 2, 16, 16)
    assert batch.pixels.dtype == torch.uint8
    assert batch.points_px.shape == (3, 2, 16, 2)
    assert batch.landmarks.shape == (3, 2, 16, 3)
    assert batch.overlap.shape == (3, 2, 2)
    assert batch.image_size.tolist() == [[[240, 180]] * 2] * 3
    assert len(set(batch.scene.tolist())) == 3


def _same(one, two):
    return all(
        torch.equal(getattr(one, name), getattr(two, name)) for name in ('pixels', 'points_px')
    )


def test_resuming_at_a_step_gives_the_same_batches(training_set):
    whole = list(ViewDataset([training_set], 2, num_patches=16, seed=5).stream(0, 9))
    resumed = ViewDataset([training_set], 2, num_patches=16, seed=5).stream(6, 9, workers=1)
    assert all(_same(one, two) for one, two in zip(whole[6:], resumed, strict=True))
    assert not _same(whole[0], whole[4])  # the next epoch
    other = ViewDataset([training_set], 2, num_patches=16, seed=6)
    assert not _same(whole[0], other[0])


def test_processes_share_a_batch(training_set):
    whole = ViewDataset([training_set], 4, num_patches=16)[1]
    parts = [
        ViewDataset([training_set], 4, num_patches=16, rank=rank, world_size=2)[1]
        for rank in range(2)
    ]
    assert torch.equal(torch.cat([part.pixels for part in parts]), whole.pixels)
    with pytest.raises(InputError, match='shared by 3'):
        ViewDataset([training_set], 4, rank=0, world_size=3)


def test_groups_of_rare_overlap_are_repeated(training_set):
    """Over an epoch, every bin of overlap that has a group is drawn equally often."""
    pytest.importorskip('imblearn')
    num_bins = 4
    dataset = ViewDataset([training_set], 1, num_patches=32, balanced_bins=num_bins)
    drawn = [
        float(0.5 * (b.overlap[0, 0, 1] + b.overlap[0, 1, 0]))
        for b in dataset.stream(0, len(dataset))
    ]
    counts = np.bincount(overlap_bins(np.array(drawn), num_bins))
    assert len(dataset) > len(ViewShards(training_set))
    assert len(set(counts[counts > 0].tolist())) == 1


def test_sets_that_do_not_fit_are_refused(training_set, photo_folder, tmp_path):
    with pytest.raises(InputError, match='48 patches per view instead of at least 64'):
        ViewDataset([training_set], 2, num_patches=64)
    options = replace(OPTIONS, patches=replace(OPTIONS.patches, form='paper'))
    paper = PhotoGroups(list_photos(photo_folder), options)
    build_training_set(paper, tmp_path / 'paper', 2)
    with pytest.raises(InputError, match='paper'):
        ViewDataset([training_set, tmp_path / 'paper'], 2, num_patches=None)
    assert ViewDataset([tmp_path / 'paper'], 2, num_patches=None)[0].pixels.shape[3] == 3


def test_mirroring_keeps_correspondences_and_overlap(training_set):
    kept = ViewDataset([training_set], 4, num_patches=None, flip=False)[0]
    flipped = ViewDataset([training_set], 4, num_patches=None, flip=True, seed=0)[0]
    is_mirrored = (kept.points_px != flipped.points_px).flatten(1).any(dim=1)
    assert is_mirrored.any()
    assert torch.equal(kept.overlap, flipped.overlap)
    for batch in (kept, flipped):
        truth = [(batch.landmarks[:, k], batch.spacing[:, k]) for k in range(2)]
        matches = correspondences(*truth[0], *truth[1], 3.0)
        assert (matches >= 0).sum() > 10
    assert torch.equal(kept.landmarks.nan_to_num(), flipped.landmarks.nan_to_num())


@pytest.mark.parametrize('form', ['improved', 'paper'])
def test_a_mirrored_patch_is_the_patch_of_the_mirrored_image(form):
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (90, 121), np.uint8), (0, 0), 2
    )
    points = np.array([[40, 45], [70, 50], [60, 40]], np.float32)
    angles = np.array([0, 30, 200], np.float32)
    other = np.column_stack([120 - points[:, 0], points[:, 1]]).astype(np.float32)
    sizes, index = np.array([31, 31, 44], np.float32), np.arange(3)
    cut = cut_patches(image, PatchKeypoints(points, sizes, angles, index), form)
    wanted = cut_patches(
        np.ascontiguousarray(image[:, ::-1]),
        PatchKeypoints(other, sizes, (180 - angles) % 360, index),
        form,
    )
    arrays = {
        'pixels': cut.pixels[None],
        'points_px': points[None],
        'image_size': np.array([[121, 90]]),
    }
    mirrored = mirror(arrays, form)
    assert mirrored['points_px'][0] == pytest.approx(other)
    got, want = mirrored['pixels'][0].astype(int), wanted.pixels.astype(int)
    if form == 'paper':  # a crop of even size has its keypoint beside its middle
        got, want = got[..., :-1], want[..., 1:]
    assert np.abs(got - want).max() <= 2
