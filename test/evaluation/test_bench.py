"""The benchmark: what it measures and how it tells. No run time is asserted."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.config import Config, PoseGraphConfig
from s3e_gnn_ros.errors import ConfigError, RecordingError
from s3e_gnn_ros.evaluation import (
    bench_learned,
    bench_overlap,
    bench_pose_graph,
    bench_retrieval,
    bench_stages,
)
from s3e_gnn_ros.evaluation.bench import BenchOptions, run_bench
from s3e_gnn_ros.evaluation.bench_learned import encoder_configs
from s3e_gnn_ros.evaluation.bench_memory import array_bytes
from s3e_gnn_ros.evaluation.bench_table import bench_table
from s3e_gnn_ros.evaluation.bench_timing import Timing
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.retrieval.training import train_vocabulary
from s3e_gnn_ros.simulation import ray_caster, recording
from s3e_gnn_ros.types import Frame

CAMERA = PinholeCamera(320, 240, 300.0, 300.0, 160.0, 120.0)
STEP_PX, DISTANCE_M = 9, 2.0
TIMING = {'name', 'count', 'p50_ms', 'p95_ms', 'max_ms', 'ratio'}
GRAPH = """VERTEX_SE3:QUAT 0 0 0 0 0 0 0 1
VERTEX_SE3:QUAT 1 1 0 0 0 0 0 1
VERTEX_SE3:QUAT 2 2 0 0 0 0 0 1
EDGE_SE3:QUAT 0 1 1 0 0 0 0 0 1 1 0 0 0 0 0 1 0 0 0 0 1 0 0 0 1 0 0 1 0 1
EDGE_SE3:QUAT 1 2 1 0 0 0 0 0 1 1 0 0 0 0 0 1 0 0 0 0 1 0 0 0 1 0 0 1 0 1
"""


def drive_past_a_wall(num_frames):
    """Move sideways before a wall painted with blots, 6 cm a frame, ten frames a second."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (60, 200), dtype=np.uint8)
    wall = cv2.resize(noise, (800, 240), interpolation=cv2.INTER_CUBIC)
    frames = []
    for k in range(num_frames):
        T = se3.make_pose(None, [k * STEP_PX * DISTANCE_M / CAMERA.fx, 0, 0])
        image = np.ascontiguousarray(wall[:, k * STEP_PX : k * STEP_PX + CAMERA.width])
        depth_m = np.full(image.shape, DISTANCE_M, np.float32)
        frames.append(Frame(1 + k * 100_000_000, image, CAMERA, depth_m, T))
    return frames


@pytest.fixture(autouse=True, scope='module')
def few_samples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_learned, '_NUM_SAMPLES', 2)
        patch.setattr(bench_learned, '_NUM_WARM_UP', 0)
        patch.setattr(bench_overlap, '_NUM_VIEWS', 8)
        patch.setattr(bench_overlap, '_NUM_LOOPED', 1)
        yield


def make_recording(num_frames):
    frames = drive_past_a_wall(num_frames)
    return SimpleNamespace(frames=lambda: iter(frames))


@pytest.fixture(scope='module')
def descriptors():
    rng = np.random.default_rng(1)
    return [rng.integers(0, 256, (40, 32), dtype=np.uint8) for _ in range(6)]


@pytest.fixture(scope='module')
def vocabulary(descriptors):
    return train_vocabulary(descriptors, branching=4, depth=3)


def test_there_and_back_visits_every_frame_once_and_ends_where_it_began():
    frames = drive_past_a_wall(7)
    route = bench_stages.there_and_back(frames)
    visited = [
        round(float(frame.T_odom_camera[0, 3] * 300 / DISTANCE_M / STEP_PX)) for frame in route
    ]
    assert visited == [0, 2, 4, 6, 5, 3, 1]
    assert np.unique(np.diff([frame.stamp_ns for frame in route])).tolist() == [200_000_000]
    assert route[0].stamp_ns == frames[0].stamp_ns
    assert bench_stages.there_and_back(frames[:1]) == frames[:1]


def test_every_stage_is_timed_and_loops_are_closed():
    frames = bench_stages.there_and_back(drive_past_a_wall(30))
    timings, outcome = bench_stages.time_stages(frames, Config())
    by_name = {timing.name: timing.samples_ms for timing in timings}
    assert {*bench_stages.STAGES, 'whole keyframe', 'verification, per candidate'} == set(by_name)
    for samples_ms in by_name.values():
        assert (samples_ms > 0).all()
    whole = by_name['whole keyframe']
    assert len(whole) == len(by_name['features']) == outcome.total() - outcome['closures']
    assert len(by_name['verification, per candidate']) == len(by_name['verification']) > 0
    assert outcome['LOOP_DETECTED'] > 0
    assert outcome['closures'] >= outcome['LOOP_DETECTED']
    parts = by_name['features'] + by_name['retrieval'] + by_name['optimisation']
    assert (whole > parts).all()


def test_mixtures_are_vectors_of_words_that_the_images_show(descriptors, vocabulary):
    seen = set(np.concatenate([vocabulary.words_of(image) for image in descriptors]).tolist())
    vectors = bench_retrieval.mixtures(descriptors, vocabulary, np.random.default_rng(0))
    for words, weights in itertools.islice(vectors, 20):
        assert (np.diff(words) > 0).all()
        assert set(words.tolist()) <= seen
        assert weights.sum() == pytest.approx(1.0, abs=1e-5)
        assert (weights > 0).all()


def test_growth_measures_the_index_at_each_size(descriptors, vocabulary):
    vectors = bench_retrieval.mixtures(descriptors, vocabulary, np.random.default_rng(0))
    growth = list(bench_retrieval.time_growth(vectors, vocabulary.num_words, (10, 150)))
    assert [g.num_keyframes for g in growth] == [10, 150]
    assert [len(g.add.samples_ms) for g in growth] == [10, 140]
    assert growth[1].num_bytes > growth[0].num_bytes > 0
    for g in growth:
        values = g.as_dict()
        assert all(value > 0 for value in values.values())
        assert values['bytes_per_keyframe'] * g.num_keyframes == pytest.approx(g.num_bytes)


def test_the_made_up_drive_goes_round_looking_ahead():
    drive = bench_pose_graph.make_drive(205)
    for pose in drive.poses[::17]:
        se3.check_pose(pose, 'pose')
    np.testing.assert_allclose(drive.poses[100], drive.poses[0], atol=1e-12)
    steps = se3.inverse(drive.poses[:-1]) @ drive.poses[1:]
    assert (steps[:, 2, 3] > 0.3).all()
    assert np.abs(steps[:, :2, 3]).max() < 0.02
    closures = bench_pose_graph.make_closures(drive, np.random.default_rng(0))
    assert len(closures) == 11  # of the 105 poses after the first lap
    for query, closure in closures.items():
        assert closure.match_id < closure.query_id == query
        assert se3.translation_m(closure.T_match_query) < 1.0
    assert len(bench_pose_graph.time_drive(130, PoseGraphConfig(), 0).samples_ms) == 130


def test_pose_graphs_are_timed_as_a_whole():
    timings = bench_pose_graph.time_sizes((60,), PoseGraphConfig(), 0)
    assert [timing.name for timing in timings] == [
        'update of 60 poses',
        'solve all of 60 poses',
        'PCM of 60 poses',
        'GNC of 60 poses',
    ]
    assert [len(timing.samples_ms) for timing in timings] == [20, 1, 1, 1]
    assert all((timing.samples_ms > 0).all() for timing in timings)


def test_a_timing_is_summarised_by_hand():
    timing = Timing('row', np.array([1.0, 2.0, 9.0]))
    assert timing.as_dict(4.0) == {
        'name': 'row',
        'count': 3,
        'p50_ms': 2.0,
        'p95_ms': pytest.approx(8.3),
        'max_ms': 9.0,
        'ratio': 0.5,
    }


def test_memory_of_arrays():
    frame = drive_past_a_wall(1)[0]
    assert array_bytes(frame) == 320 * 240 * (1 + 4) + 16 * 8


def test_memory_of_a_process():
    # A new one: of a large one the kernel may take back meanwhile what has not been used lately.
    code = (
        'import numpy as np; from s3e_gnn_ros.evaluation.bench_memory import resident_bytes; '
        'before = resident_bytes(); kept = np.ones(8_000_000); '
        'print((resident_bytes() - before) / kept.nbytes)'
    )
    ran = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 0.5 < float(ran.stdout) < 1.5


@pytest.fixture(scope='module')
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp('graphs') / 'small.g2o'
    path.write_text(GRAPH, encoding='ascii')
    options = BenchOptions((30, 10), 20, (path,), graph_sizes=(40, 12), start_bytes=1_000_000)
    parts = []
    result = run_bench(drive_past_a_wall(30), options, progress=parts.append)
    assert parts == [
        'vocabulary',
        'pose graph',
        'small.g2o',
        'frames',
        'stages',
        'retrieval',
        'encoders',
        'learned map',
        'overlap',
    ]
    return result


def test_the_result_is_complete_and_plain(result):
    assert json.loads(json.dumps(result)) == result
    for group in ('stages', 'learned', 'retrieval', 'others'):
        for timing in result[group]:
            assert timing.keys() == TIMING
            assert 0 < timing['p50_ms'] <= timing['p95_ms'] <= timing['max_ms']
            assert timing['ratio'] > 0
            assert timing['count'] > 0
    assert result['stages'][0]['name'] == 'features'
    assert result['stages'][0]['ratio'] == 1.0
    counts = {timing['name']: timing['count'] for timing in result['others']}
    assert counts['add pose of small'] == 3
    assert counts['add pose of 20 made up'] == 20
    assert [growth['num_keyframes'] for growth in result['growth']] == [10, 30]
    assert all(value > 0 for growth in result['growth'] for value in growth.values())
    assert [growth['num_keyframes'] for growth in result['learned_growth']] == [12, 40]
    assert all(value > 0 for growth in result['learned_growth'] for value in growth.values())
    assert result['large'] is None
    names = [timing['name'] for timing in result['learned']]
    assert names[0] == 'patches'
    assert {*encoder_configs()} <= set(names)
    assert 'SparseConv + GNN + query, 40' in names
    assert any('pairs per second' in note for note in result['notes'])
    memory = result['memory']
    assert all(value > 0 for value in memory.values())
    assert memory['index of 30 keyframes'] > memory['index of 10 keyframes']
    assert memory['views of 30 keyframes'] == 30 * memory['view of a keyframe']
    assert memory['resident with libraries and vocabulary'] > memory['resident at start']


def test_the_table_has_a_line_for_everything(result):
    lines = bench_table(result).splitlines()
    assert max(map(len, lines[1:])) <= 99
    names = [
        timing['name']
        for group in ('stages', 'learned', 'retrieval', 'others')
        for timing in result[group]
    ]
    for name in [*names, *result['memory']]:
        assert sum(line.startswith(name + ' ') for line in lines) >= 1, name
    assert any('closures' in line for line in lines)


@pytest.mark.parametrize(
    ('options', 'error', 'words'),
    [
        ({'sizes': ()}, ConfigError, r'keyframes are \[\]'),
        ({'sizes': (5, 0)}, ConfigError, r'keyframes are \[5, 0\]'),
        ({'graph_sizes': (0,)}, ConfigError, r'learned map are \[0\]'),
        ({'num_large': 100}, ConfigError, 'large search are 100'),
        ({'num_poses': 0}, ConfigError, 'poses are 0'),
        ({'seed': -1}, ConfigError, 'seed is -1'),
    ],
)
def test_options_out_of_range(options, error, words):
    with pytest.raises(error, match=words):
        BenchOptions(**options)


def test_a_missing_pose_graph_or_too_few_frames(tmp_path):
    with pytest.raises(RecordingError, match=r"no such pose graph: '.*no\.g2o'"):
        BenchOptions(g2o=(tmp_path / 'no.g2o',))
    with pytest.raises(RecordingError, match='a drive of 3 frames instead of at least 4'):
        run_bench(drive_past_a_wall(3), BenchOptions((1,), 1))


def test_the_command_prints_one_table_or_json(monkeypatch, capsys):
    monkeypatch.setattr(
        recording, 'SimulatedRecording', lambda options: make_recording(options.max_frames)
    )
    command = ['bench', '--frames', '8', '--keyframes', '5', '9', '--poses', '6']
    command += ['--learned-keyframes', '12']
    assert main(command) == 0
    out = capsys.readouterr().out
    assert Counter(out.splitlines())['-- memory'.ljust(95, '-').replace('y-', 'y ', 1)] == 1
    assert main([*command, '--json']) == 0
    values = json.loads(capsys.readouterr().out)
    assert [growth['num_keyframes'] for growth in values['growth']] == [5, 9]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (('--frames', '3'), '--frames is 3'),
        (('--poses', '-2'), 'poses are -2'),
        (('--g2o', 'no.g2o'), "no such pose graph: 'no.g2o'"),
        (('--config', 'no.yaml'), 'no.yaml'),
    ],
)
def test_bad_options_are_one_line(capsys, options, words):
    assert main(['bench', *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_without_the_simulator_it_says_what_to_install(monkeypatch, capsys):
    def make_building(seed):
        return ray_caster.RayCaster(np.zeros((1, 3, 3), np.float32))

    monkeypatch.setattr(recording, 'make_building', make_building)
    for name in [name for name in sys.modules if name.startswith('embreex')]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, 'embreex', None)
    assert main(['bench']) == 2
    assert 'embreex' in capsys.readouterr().err
