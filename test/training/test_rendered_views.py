"""Groups of rendered frames: landmarks, overlap and boxes agree with the world."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import CORNER, look_at, make_frame

from s3e_gnn_ros.training import rendered_views
from s3e_gnn_ros.training.correspondences import correspondences
from s3e_gnn_ros.training.degradation import Degradation
from s3e_gnn_ros.training.rendered_views import (
    RenderedGroups,
    RenderedViewOptions,
    World,
    rendered_group,
)
from s3e_gnn_ros.training.view_group import may_overlap
from s3e_gnn_ros.training.view_maker import PatchOptions, ViewMaker

CLEAN = Degradation(0, 0, 0, 0, 0, 0, 0, 0, 0)
OPTIONS = RenderedViewOptions(
    num_views=2,
    degradation=CLEAN,
    patches=PatchOptions(num_patches=96),
    groups_per_world=2,
)


def group_of(*positions, target=(1.0, 0.5, 4.0), world='room'):
    frames = [make_frame(look_at(position, target)) for position in positions]
    maker = ViewMaker(OPTIONS.patches, OPTIONS.degradation)
    return rendered_group(frames, world, maker, OPTIONS, np.random.default_rng(0))


@pytest.fixture(scope='module')
def group():
    return group_of((0.0, 0.0, 0.5), (0.4, 0.1, 1.2))


def test_landmarks_lie_on_the_walls(group):
    for view in group.views:
        known = view.landmarks[np.isfinite(view.landmarks).all(axis=1)]
        assert len(known) > 80
        assert np.abs(CORNER - known).min(axis=1).max() < 0.05


def test_spacing_is_depth_over_focal_length(group):
    view = group.views[0]
    depth = (view.landmarks - (0.0, 0.0, 0.5)) @ look_at((0.0, 0.0, 0.5), (1.0, 0.5, 4.0))[:3, 2]
    assert np.nanmax(np.abs(view.spacing * 240 - depth)) < 1e-3


def test_patches_correspond_across_parallax(group):
    a, b = group.views
    truth = (a.landmarks, a.spacing, b.landmarks, b.spacing)
    matches = correspondences(*map(torch.from_numpy, truth), 3.0).numpy()
    assert (matches >= 0).sum() > 15
    apart = np.linalg.norm(a.landmarks - b.landmarks[matches], axis=1)[matches >= 0]
    assert apart.max() < 0.06
    assert 0.5 < group.overlap[0, 1] <= 1
    assert 0.3 < group.overlap[1, 0] <= 1


def test_groups_apart_in_one_world_are_negatives():
    left = group_of((-4, 0, 3.2), (-4.1, 0, 3.3), target=(-4.0, 0, 4.0))
    right = group_of((1.0, 0, 3.2), (1.1, 0, 3.3), target=(1.0, 0, 4.0))
    assert not may_overlap(left, right)
    assert may_overlap(left, left)
    assert not may_overlap(left, replace(left, scene='another'))


def test_depth_out_of_range_is_unknown():
    frames = [make_frame(look_at((0, 0, z), (1.0, 0.5, 4.0))) for z in (0.5, 0.7)]
    options = replace(OPTIONS, max_depth_m=0.1)
    maker = ViewMaker(options.patches, options.degradation)
    blind = rendered_group(frames, 'room', maker, options, np.random.default_rng(0))
    assert all(np.isnan(view.landmarks).all() for view in blind.views)
    assert blind.overlap[0, 1] == 0
    assert may_overlap(blind, blind)  # nobody knows what it sees


def test_a_group_depends_on_its_number_alone(monkeypatch):
    def fake_groups(scene, num_groups, views_per_group, seed, camera, view_range):
        for k in range(num_groups):
            x = np.random.default_rng((seed, k)).uniform(-0.5, 0.5)
            yield tuple(
                make_frame(look_at((x + 0.1 * v, 0, 0.5), (1, 0.5, 4)))
                for v in range(views_per_group)
            )

    monkeypatch.setattr(rendered_views, 'view_groups', fake_groups)
    worlds = [World('one', lambda: None), World('two', lambda: None)]
    source = RenderedGroups(worlds, OPTIONS)
    whole = list(source.make_groups(0, 5))
    assert [g.scene for g in whole] == ['one', 'one', 'two', 'two', 'one']
    for start, stop in ((1, 3), (4, 5)):
        for one, two in zip(source.make_groups(start, stop), whole[start:stop], strict=True):
            assert (one.views[1].pixels == two.views[1].pixels).all()
            assert (one.bounds == two.bounds).all()
    assert (whole[0].bounds != whole[4].bounds).any()
