"""A restored map answers as the one that grew keyframe by keyframe."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest
from synthetic import CAMERA, World, look_at, random_wall_points

from s3e_gnn_ros.config import RetrievalConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.database import KeyframeDatabase
from s3e_gnn_ros.loop_closure.view import make_view
from s3e_gnn_ros.retrieval.factory import make_retrieval
from s3e_gnn_ros.types import Encoding, Frame, Keyframe, KeyframeKey, LoopClosure

SECOND_NS = 1_000_000_000
IMAGE = np.zeros((240, 320), dtype=np.uint8)
METHODS = ('s3e', 'bow')


@dataclass
class Rows:
    keys: list
    robot_ids: list
    stamps_ns: np.ndarray
    T_odom_camera: np.ndarray
    T_map_camera: np.ndarray
    embeddings: np.ndarray | None


@dataclass
class Drive:
    """Keyframes of two robots that take turns and come back, and what was found on the way."""

    keyframes: list = field(default_factory=list)
    matches: list = field(default_factory=list)

    def rows(self, chosen):
        keyframes = [self.keyframes[row] for row in chosen]
        return Rows(
            keys=[key_of(each) for each in keyframes],
            robot_ids=[each.robot_id for each in keyframes],
            stamps_ns=np.array([each.stamp_ns for each in keyframes]),
            T_odom_camera=np.array([each.T_odom_camera for each in keyframes]),
            T_map_camera=np.array([each.T_odom_camera for each in keyframes]),
            embeddings=np.array([each.encoding.embedding for each in keyframes]),
        )

    def closures(self):
        return [
            make_closure(self.keyframes[query], self.keyframes[match])
            for query, matches in enumerate(self.matches)
            for match in matches
        ]

    def view(self, key):
        return make_view(next(each for each in self.keyframes if key_of(each) == key))


def key_of(keyframe):
    return KeyframeKey(keyframe.session, keyframe.keyframe_id)


def make_closure(query, match):
    return LoopClosure(
        *(query.keyframe_id, match.keyframe_id, query.session, match.session),
        *(query.stamp_ns, match.stamp_ns, np.eye(4), np.eye(6), 0.5, 30, 0.5),
    )


def make_drive(num, seed=0):
    rng = np.random.default_rng(seed)
    places = rng.standard_normal((num // 3, 256))
    world = World(random_wall_points(60, rng), rng)
    drive = Drive()
    for number in range(num):
        place = number % len(places)
        embedding = places[place] + 0.7 * places[place - 1] + 0.3 * rng.standard_normal(256)
        embedding = (embedding / np.linalg.norm(embedding)).astype(np.float32)
        features = world.features(look_at([-0.6, -0.2, 1.2], [1.4, 0.8, 3.7]))
        features.descriptors[:] = rng.integers(0, 256, features.descriptors.shape)
        T = se3.make_pose(None, [0.3 * number, 0, 0])
        drive.keyframes.append(
            Keyframe(
                number // 2,
                1 + number % 2,
                Frame(number * SECOND_NS, IMAGE, CAMERA, None, T),
                features,
                Encoding(
                    embedding,
                    np.zeros((0, 0), np.float32),
                    np.zeros((0, 2), np.float32),
                    np.zeros(0, np.intp),
                ),
                f'robot {number % 2}',
            )
        )
        older = range(place, number, len(places))
        drive.matches.append([each for each in older if rng.uniform() < 0.7])
    return drive


def make_database(method, max_keyframes=0):
    retrieval = make_retrieval(RetrievalConfig(method=method))
    return KeyframeDatabase(retrieval, cached_views=4, max_keyframes=max_keyframes)


def grown(method, drive, num, **limits):
    database = make_database(method, **limits)
    add(database, drive, range(num))
    return database


def add(database, drive, numbers):
    for number in numbers:
        keyframe = drive.keyframes[number]
        database.add(keyframe, make_view(keyframe), drive.matches[number])


def restored(method, drive, chosen):
    database = make_database(method)
    database.restore(drive.rows(chosen), drive.closures(), drive)
    return database


def answers(database, drive, numbers):
    return np.array(
        [database.retrieval.similarities(drive.keyframes[number]) for number in numbers]
    )


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('seed', range(3))
def test_restored_is_as_if_added_one_by_one(method, seed):
    drive = make_drive(48, seed)
    one_by_one, at_once = grown(method, drive, 42), restored(method, drive, range(42))
    asked = range(36, 48)
    before = answers(one_by_one, drive, asked)
    np.testing.assert_allclose(answers(at_once, drive, asked), before, atol=1e-5)
    assert before.max() > 0.1
    # The sessions go on: what follows hangs on their last keyframes.
    for database in (one_by_one, at_once):
        add(database, drive, range(42, 48))
    after = answers(one_by_one, drive, asked)
    np.testing.assert_allclose(answers(at_once, drive, asked), after, atol=1e-5)
    np.testing.assert_array_equal(at_once.origins.stamps_ns, one_by_one.origins.stamps_ns)
    assert at_once.origins.robot_id(2) == 'robot 1'


def test_every_edge_is_restored():
    drive = make_drive(60, seed=5)
    one_by_one, at_once = grown('s3e', drive, 60), restored('s3e', drive, range(60))
    graphs = [each.retrieval.map.reference.graph for each in (one_by_one, at_once)]
    num_loops = 0
    for node in range(60):
        assert sorted(graphs[0].neighbours(node)) == sorted(graphs[1].neighbours(node))
        num_loops += len(set(graphs[0].neighbours(node)) & set(drive.matches[node]))
    assert num_loops > 20


def test_a_map_is_added_to_what_is_here():
    drive = make_drive(40)
    both = grown('s3e', drive, 20)
    both.restore(drive.rows(range(20, 40)), drive.closures(), drive)
    whole = grown('s3e', drive, 40)
    own = drive.keyframes[39]
    assert both.retrieval.similarities(own).shape == whole.retrieval.similarities(own).shape
    assert both.origins.keys == whole.origins.keys
    # Loops between the two parts are not in the map that came later; all others are.
    neighbours = [each.retrieval.map.reference.graph.neighbours(38) for each in (both, whole)]
    assert {n for n in neighbours[1] if n >= 20} <= set(neighbours[0])


@pytest.mark.parametrize('method', METHODS)
def test_a_keyframe_of_the_map_may_not_be_here_already(method):
    drive = make_drive(20)
    database = grown(method, drive, 10)
    with pytest.raises(InputError, match='keyframe 4 of session 2 is in the map already'):
        database.restore(drive.rows(range(9, 20)), [], drive)
    assert len(database.retrieval) == len(database) == 10


def test_a_map_without_embeddings_is_refused():
    drive = make_drive(12)
    database = make_database('s3e')
    rows = drive.rows(range(12))
    for broken in (None, np.where(np.arange(12)[:, None] == 3, np.nan, rows.embeddings)):
        with pytest.raises(InputError, match='stored keyframes have no embedding'):
            database.restore(dataclasses.replace(rows, embeddings=broken), [], drive)
    assert len(database) == len(database.retrieval) == 0


@pytest.mark.parametrize('method', METHODS)
def test_numbers_survive_a_removal(method):
    drive = make_drive(60)
    database, whole = grown(method, drive, 40), grown(method, drive, 40)
    gone = [5, 6, 30, 39]
    assert database.remove([key_of(drive.keyframes[n]) for n in [*gone, 5]]) == 4
    assert database.remove([key_of(drive.keyframes[50])]) == 0
    assert len(database) == 36
    assert np.flatnonzero(~database.origins.is_alive).tolist() == gone
    for number in gone:
        with pytest.raises(InputError, match='no keyframe'):
            database.view_of(number)
    add(database, drive, range(40, 41))
    assert database.origins.entries([key_of(drive.keyframes[40])]) == [40]
    if method == 'bow':  # words know of no graph: nothing else has changed
        query = [drive.keyframes[45]]
        left = database.retrieval.similarities(*query)[:40]
        kept = np.delete(whole.retrieval.similarities(*query), gone)
        np.testing.assert_array_equal(np.delete(left, gone), kept)
        assert (left[gone] == 0).all()


def test_a_map_with_gaps_is_restored_as_its_keyframes_were_added():
    drive = make_drive(30)
    chosen = [n for n in range(30) if n not in (4, 11, 12)]
    at_once = restored('s3e', drive, chosen)
    one_by_one = make_database('s3e')
    entry = {number: row for row, number in enumerate(chosen)}
    for number in chosen:
        keyframe = drive.keyframes[number]
        matches = [entry[m] for m in drive.matches[number] if m in entry]
        one_by_one.add(keyframe, make_view(keyframe), matches)
    expected = answers(one_by_one, drive, range(25, 30))
    np.testing.assert_allclose(answers(at_once, drive, range(25, 30)), expected, atol=1e-5)


def test_pruning_keeps_the_limit_and_says_what_went():
    drive = make_drive(60)
    database = grown('bow', drive, 0, max_keyframes=40)
    pruned = []
    for number in range(60):
        add(database, dataclasses.replace(drive, matches=[[]] * 60), [number])
        pruned += database.prune()
        assert len(database) <= 40
    assert len(pruned) == len(set(pruned)) == 60 - len(database)
    assert not set(pruned) & set(database.origins.keys)
    newest = [key_of(each) for each in drive.keyframes[-20:]]
    assert set(newest) <= set(database.origins.keys)
    assert len(database.views) == len(database.poses) == len(database)


def test_without_a_limit_nothing_is_pruned():
    database = grown('bow', make_drive(12), 12)
    assert database.prune() == []
    assert len(database) == 12
