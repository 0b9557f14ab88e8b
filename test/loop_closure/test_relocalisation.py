"""Where an image was taken, in a map of the synthetic room."""

import dataclasses

import numpy as np
import pytest
from synthetic import (
    CAMERA,
    START_NS,
    World,
    look_at,
    make_frame,
    out_and_back,
    random_wall_points,
    select_features,
)

from s3e_gnn_ros.config import Config, config_from_dict
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.database import KeyframeDatabase
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.loop_closure.relocalisation import NO_SESSION, Relocaliser
from s3e_gnn_ros.loop_closure.verification import Verifier
from s3e_gnn_ros.loop_closure.view import make_view
from s3e_gnn_ros.types import Frame, Keyframe, KeyframeKey, Status

STEP_NS = 300_000_000
CONFIG = config_from_dict(
    {
        'features': {'num_features': 600},
        'retrieval': {'method': 'bow'},
        'relocalisation': {'max_candidates': 6},
        'node': {'robot_id': 'ant'},
    }
)
POSES = out_and_back(12)[:6]
IMAGE = np.zeros((240, 320), dtype=np.uint8)


@pytest.fixture(scope='module')
def frames():
    return [make_frame(T, START_NS + i * STEP_NS) for i, T in enumerate(POSES)]


@pytest.fixture
def pipeline(frames):
    """A map of every second frame."""
    filled = LoopClosurePipeline(CONFIG, session=1)
    for frame in frames[::2]:
        filled.process(frame)
    return filled


def asked(frame, **changes):
    return dataclasses.replace(frame, T_odom_camera=None, T_world_camera=None, **changes)


def error_of(found, T_true):
    error = se3.inverse(T_true) @ found.T_map_camera
    return se3.translation_m(error), se3.rotation_angle_deg(error)


@pytest.mark.parametrize('with_depth', [True, False])
def test_an_image_between_the_keyframes_is_located(pipeline, frames, with_depth):
    for frame, T_true in zip(frames[1::2], POSES[1::2], strict=True):
        depth = {} if with_depth else {'depth_m': None}
        found = pipeline.relocalise(asked(frame, **depth))
        assert found.status == Status.LOOP_DETECTED
        distance_m, angle_deg = error_of(found, T_true)
        assert distance_m < 0.04
        assert angle_deg < 1.0
        sigma_m = np.sqrt(np.diag(found.covariance)[3:].max())
        assert distance_m / 4 < sigma_m < 0.2
        assert found.match == found.supporters[0]
        assert found.match in pipeline
        assert found.match_robot_id == 'ant'
        assert found.num_inliers >= 40
        similarities = [each.similarity for each in found.candidates]
        assert similarities == sorted(similarities, reverse=True)
        assert 0 < found.similarity <= similarities[0]


def test_nothing_in_the_map_changes(pipeline, frames):
    reference = LoopClosurePipeline(CONFIG, session=1)
    for frame in frames[::2]:
        reference.process(frame)
    for frame in frames:
        pipeline.relocalise(asked(frame))
    assert pipeline.keys == reference.keys
    last = [each.process(frames[-1])[1] for each in (pipeline, reference)]
    assert last[0].status == last[1].status
    assert last[0].candidates == last[1].candidates
    np.testing.assert_array_equal(pipeline.similarities, reference.similarities)
    assert last[0].query_id == last[1].query_id == 3


def test_the_same_image_gives_the_same_bits(pipeline, frames):
    first, second = (pipeline.relocalise(asked(frames[1])) for _ in range(2))
    np.testing.assert_array_equal(first.T_map_camera, second.T_map_camera)
    np.testing.assert_array_equal(first.covariance, second.covariance)


def test_successive_images_are_not_taken_for_one(pipeline, frames):
    """Their depth is aligned: a cloud that is kept must be that of the image."""
    for frame, T_true in zip(frames, POSES, strict=True):
        assert error_of(pipeline.relocalise(asked(frame)), T_true)[0] < 0.04


def test_it_follows_the_corrected_poses(pipeline, frames):
    T_moved = se3.expmap([0.2, -0.4, 1.0, 7.0, -3.0, 2.0])
    pipeline.set_poses(pipeline.keys, np.array([T_moved @ T for T in POSES[::2]]))
    found = pipeline.relocalise(asked(frames[1]))
    assert error_of(found, T_moved @ POSES[1])[0] < 0.04


def test_another_place_is_not_located(pipeline, frames):
    for frame in frames:
        mirrored = np.ascontiguousarray(frame.image[:, ::-1])
        found = pipeline.relocalise(asked(frame, image=mirrored, depth_m=None))
        assert found.status != Status.LOOP_DETECTED
        assert found.T_map_camera is None
        assert found.covariance is None
        assert found.match is None
        assert found.candidates


def test_two_places_that_look_alike_are_no_answer(frames):
    """The same views once more, in a session that the back end has put elsewhere."""
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    for session in (1, 2):
        pipeline.start_session(session)
        for frame in frames[::2]:
            pipeline.process(frame)
    elsewhere = se3.make_pose(None, [10.0, 0, 0])
    keys = [KeyframeKey(2, number) for number in range(3)]
    pipeline.set_poses(keys, np.array([elsewhere @ T for T in POSES[::2]]))
    own = [KeyframeKey(1, number) for number in range(3)]
    pipeline.set_poses(own, np.array(POSES[::2]))
    found = pipeline.relocalise(asked(frames[1]))
    assert found.status == Status.NO_GROUPS
    assert found.T_map_camera is None
    pipeline.remove(keys)
    assert pipeline.relocalise(asked(frames[1])).status == Status.LOOP_DETECTED


def test_keyframes_that_nothing_ties_to_the_map_locate_nothing(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    pipeline.process(frames[0])
    pipeline.remove([KeyframeKey(1, 0)])
    pipeline.start_session(2)
    pipeline.process(frames[2])
    found = pipeline.relocalise(asked(frames[2]))
    assert found.status == Status.NO_DB_RESULTS
    assert [each.session for each in found.candidates] == [2]
    pipeline.set_poses([KeyframeKey(2, 0)], POSES[2][None])
    assert pipeline.relocalise(asked(frames[2])).match == KeyframeKey(2, 0)


def test_removed_keyframes_locate_nothing(pipeline, frames):
    pipeline.remove(pipeline.keys[1:])
    found = pipeline.relocalise(asked(frames[1]))
    assert {(each.session, each.keyframe_id) for each in found.candidates} == {(1, 0)}
    pipeline.remove(pipeline.keys)
    assert pipeline.relocalise(asked(frames[1])).status == Status.NO_DB_RESULTS


def test_an_image_without_texture(pipeline, frames):
    blank = asked(frames[0], image=np.full_like(frames[0].image, 90))
    assert pipeline.relocalise(blank).status == Status.TOO_FEW_FEATURES


class Alike:
    """Retrieval to which all keyframes are alike."""

    def __init__(self):
        self.size = 0

    def add(self, keyframe):
        self.size += 1
        return self.size - 1

    def similarities(self, keyframe):
        return np.full(self.size, 0.5, dtype=np.float32)


def keyframe_of(number, features, T):
    return Keyframe(number, 1, Frame(number, IMAGE, CAMERA, None, T), features)


def relocalise_by_parts(num_parts, num_each, **settings):
    """Ask a map whose keyframes show but a few of the query's points each, beside many others."""
    rng = np.random.default_rng(3)
    world, others = (World(random_wall_points(400, rng), rng) for _ in range(2))
    T_true = look_at([-0.6, -0.2, 1.2], [1.4, 0.8, 3.7])
    database = KeyframeDatabase(Alike(), cached_views=10)
    order = np.argsort(world.points[:, 0])
    for number in range(num_parts):
        part = World(world.points, rng)
        shown = order[number::num_parts][:num_each]
        part.descriptors[shown] = world.descriptors[shown]
        T = T_true @ se3.make_pose(None, [0.1 * number, 0, 0])
        keyframe = keyframe_of(number, part.features(T), T)
        database.add(keyframe, make_view(keyframe), [])
    stranger = keyframe_of(num_parts, others.features(T_true), T_true)
    database.add(stranger, make_view(stranger), [])
    config = config_from_dict({'relocalisation': settings})
    relocaliser = Relocaliser(config, database, Verifier(config.verification, config.features))
    features = world.features(T_true, with_landmarks=False)
    query = Keyframe(0, NO_SESSION, Frame(0, IMAGE, CAMERA), features)
    return relocaliser.relocalise(query), T_true


def test_keyframes_that_share_too_little_each_locate_it_together():
    found, T_true = relocalise_by_parts(num_parts=6, num_each=17)
    assert found.status == Status.LOOP_DETECTED
    assert error_of(found, T_true)[0] < 0.03
    assert len(found.supporters) == 6
    assert found.num_inliers >= 40


def test_too_little_is_not_believed():
    found, _ = relocalise_by_parts(num_parts=2, num_each=17)
    assert found.status == Status.TOO_FEW_INLIERS
    assert 6 <= found.num_inliers < 40
    found, _ = relocalise_by_parts(num_parts=6, num_each=17, min_inliers=150)
    assert found.status == Status.TOO_FEW_INLIERS


def test_a_cluster_in_a_corner_of_the_image_is_not_believed(pipeline, frames):
    config = dataclasses.replace(CONFIG, verification=Config().verification)
    assert config.verification.min_inlier_area == 0.02
    rng = np.random.default_rng(0)
    world = World(random_wall_points(4000, rng), rng)
    T_true = look_at([-0.6, -0.2, 1.2], [1.4, 0.8, 3.7])
    seen = world.features(T_true)
    centre = np.abs(seen.points_px - (160, 120)).max(axis=1) < 18  # 0.017 of the image
    features = select_features(seen, np.flatnonzero(centre))
    assert len(features) > 45
    database = KeyframeDatabase(Alike(), cached_views=10)
    keyframe = keyframe_of(0, seen, T_true)
    database.add(keyframe, make_view(keyframe), [])
    relocaliser = Relocaliser(config, database, Verifier(config.verification, config.features))
    query = Keyframe(0, NO_SESSION, Frame(0, IMAGE, CAMERA), features)
    assert relocaliser.relocalise(query).status == Status.INLIERS_TOO_CONCENTRATED
