"""Laps with options: opposite, turned, raised, with moving things and plain walls."""

from dataclasses import replace

import numpy as np
import pytest

from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.simulation.appearance import Appearance
from s3e_gnn_ros.simulation.lap_values import parse_laps
from s3e_gnn_ros.simulation.laps import LapOptions
from s3e_gnn_ros.simulation.mesh import MeshBuilder
from s3e_gnn_ros.simulation.plain_walls import paint_walls_plain
from s3e_gnn_ros.simulation.recording import D455, SimulatedRecording, SimulationOptions

LAPS = (LapOptions(), LapOptions(is_reversed=True, height_m=0.6, yaw_offset_deg=90))
OPTIONS = SimulationOptions(
    seed=2, rate_hz=2, scene='hall.glb', laps=LAPS, camera=D455.scaled(0.125), depth_noise=None
)
SLOW = replace(OPTIONS, rate_hz=0.3)


@pytest.fixture(name='big_hall', scope='module')
def _big_hall():
    """A hall 8 x 6 m with a pillar in the middle, so that a tour is a loop."""
    mesh = MeshBuilder(cell_m=1.0)
    texture = np.random.default_rng(1).integers(30, 220, (50, 50, 3), dtype=np.uint8)
    image = mesh.add_texture(np.kron(texture, np.ones((8, 8, 1), np.uint8)))
    mesh.add_box((0, 0, 0), (8, 6, 2.5), image, skip=())
    mesh.add_box((0, 0, 0), (2, 1, 2.5), image)
    return mesh.build()[0]


@pytest.fixture(name='recording', scope='module')
def _recording(big_hall):
    return SimulatedRecording(OPTIONS, big_hall)


def test_laps_are_opposite_and_as_high_as_told(recording):
    poses, laps = recording.ground_truth.poses, recording.laps
    first, second = poses[laps == 0][2:-3], poses[laps == 1][3:-2]
    assert np.abs(first[:, 2, 3] - 1.05).max() < 0.04
    assert np.abs(second[:, 2, 3] - 0.6).max() < 0.04
    gaps = np.linalg.norm(first[:, None, :2, 3] - second[None, :, :2, 3], axis=2)
    assert gaps.min(axis=1).max() < 0.6
    times = np.arange(0, recording.motion.duration_s, 0.2)
    end = recording.motion.lap_ends_s[0]
    way = recording.motion.poses(times)[:, :2, 3]
    areas = [_signed_area(way[mask]) for mask in (times < end, times >= end)]
    assert areas[0] * areas[1] < 0  # round the pillar one way, then the other
    assert areas[0] == pytest.approx(-areas[1], rel=0.1)


def test_camera_looks_as_far_aside_as_told(recording):
    times = np.arange(2, recording.motion.duration_s - 2, 0.2)
    velocity = recording.motion.velocity_mps(times)[:, :2]
    forward = recording.motion.poses(times)[:, :2, 2]
    cross = velocity[:, 0] * forward[:, 1] - velocity[:, 1] * forward[:, 0]
    turn = np.degrees(np.arctan2(cross, (velocity * forward).sum(axis=1)))
    end = recording.motion.lap_ends_s[0]
    is_driving = np.linalg.norm(velocity, axis=1) > 0.3
    for mask, expected in ((times < end - 2, 0), (times > end + 4, 90)):
        assert np.median(turn[mask & is_driving]) == pytest.approx(expected, abs=8)


def test_seed_reproduces_and_another_differs(big_hall, recording):
    again = SimulatedRecording(OPTIONS, big_hall)
    assert (again.ground_truth.poses == recording.ground_truth.poses).all()
    other = SimulatedRecording(replace(OPTIONS, seed=3), big_hall)
    assert other.num_frames != recording.num_frames or (
        (other.ground_truth.poses != recording.ground_truth.poses).any()
    )


def test_things_stand_elsewhere_in_every_lap_and_are_in_depth(big_hall):
    laps = tuple(replace(lap, num_movers=4) for lap in LAPS)
    moving = SimulatedRecording(replace(SLOW, laps=laps, colour_noise=None), big_hall)
    still = SimulatedRecording(replace(SLOW, colour_noise=None), big_hall)
    frames = list(zip(moving.frames(), still.frames(), strict=True))
    changed = [(a.depth_m != b.depth_m) for a, b in frames]
    assert sum(mask.any() for mask in changed) > 2
    for (a, b), mask in zip(frames, changed, strict=True):
        assert (a.depth_m[mask] < b.depth_m[mask]).all()
        assert (a.T_world_camera == b.T_world_camera).all()
    first, second = moving._movers
    assert {m.place(0)[:2] for m in first}.isdisjoint({m.place(0)[:2] for m in second})


def test_appearance_changes_only_its_lap(big_hall):
    laps = (LAPS[0], replace(LAPS[1], appearance=Appearance(darkness=0.9)))
    dark = list(SimulatedRecording(replace(SLOW, laps=laps), big_hall).frames())
    plain = list(SimulatedRecording(SLOW, big_hall).frames())
    assert (dark[0].image == plain[0].image).all()
    assert dark[-1].image.mean() < 0.3 * plain[-1].image.mean()


def test_painting_takes_texture_from_walls_only(big_hall):
    bare = paint_walls_plain(big_hall, 1.0, 0)
    is_upright = np.abs(bare.normals[:, 2]) < 0.5
    assert all(bare.textures[k].std(axis=(0, 1)).max() == 0 for k in bare.texture_ids[is_upright])
    assert (bare.texture_ids[~is_upright] == big_hall.texture_ids[~is_upright]).all()
    part = paint_walls_plain(big_hall, 0.5, 0).texture_ids
    assert 0 < (part != big_hall.texture_ids).sum() < is_upright.sum()
    assert (part == paint_walls_plain(big_hall, 0.5, 0).texture_ids).all()
    assert paint_walls_plain(big_hall, 0.0, 0) is big_hall
    with pytest.raises(InputError, match='2'):
        paint_walls_plain(big_hall, 2, 0)


def test_lists_of_values_make_laps():
    laps = parse_laps({'heights': '0.6,1.2,1.7', 'yaw_offsets': '0,180', 'dark': None})
    assert [lap.height_m for lap in laps] == [0.6, 1.2, 1.7]
    assert [lap.yaw_offset_deg for lap in laps] == [0, 180, 0]
    assert [lap.is_reversed for lap in laps] == [False, True, False]
    assert laps[0].appearance is None
    (_, dark) = parse_laps({'dark': '0,0.9', 'blur': '0.05'})
    assert dark.appearance == Appearance(darkness=0.9, shutter_s=0.05)
    assert parse_laps({'dark': None}) == ()


@pytest.mark.parametrize(
    ('name', 'text', 'error'),
    [
        ('heights', 'high', ConfigError),
        ('heights', '9', InputError),
        ('yaw_offsets', '500', InputError),
        ('moving_objects', '1.5', ConfigError),
        ('gain', 'nan', ConfigError),
        ('noise', '-1', InputError),
        ('dark', '1', InputError),
    ],
)
def test_refuses_values(name, text, error):
    with pytest.raises(error, match=text.rstrip('0') or text):
        parse_laps({name: text})


def _signed_area(points):
    x, y = points.T
    return 0.5 * float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
