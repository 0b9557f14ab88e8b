"""What is looked at once a second, by state."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')

from s3e_gnn_ros.ros.examination import Examination
from s3e_gnn_ros.ros.health import Health, Level
from s3e_gnn_ros.ros.statistics import Statistics


def watched(topic, *, is_optional=False, is_sparse=False):
    return SimpleNamespace(topic=topic, is_optional=is_optional, is_sparse=is_sparse)


@pytest.fixture
def node():
    role = SimpleNamespace(
        depth=3,
        capacity=100,
        is_busy=True,
        watched={
            'image': watched('/eye'),
            'keypoints': watched('/keypoints', is_optional=True),
            'keyframe_pose': watched('/keyframe_pose', is_sparse=True),
        },
        healths=lambda counters: [Health('own', Level.WARN, f'{len(counters)} counters', {})],
    )
    return SimpleNamespace(state='active', role=role, statistics=Statistics())


def test_an_active_node_has_inputs_worker_drops_stages_and_its_own(node):
    node.statistics.receive('image')
    node.statistics.receive('keyframe_poses')
    node.statistics.add_stages({'retrieval': 2.0})
    found = {health.name: health for health in Examination(node).examine()}
    assert list(found) == [
        'lifecycle',
        'input image',
        'input keypoints',
        'input keyframe_pose',
        'input keyframe_poses',
        'worker',
        'drops',
        'stages',
        'own',
    ]
    assert all(health.level is Level.OK for health in found.values() if health.name != 'own')
    assert found['lifecycle'].message == 'active'
    assert found['input image'].values['topic'] == '/eye'
    assert found['worker'].values == {'waiting': 3, 'room for': 100, 'busy': 'true'}
    assert found['stages'].values == {'retrieval p50 [ms]': 2.0, 'retrieval p95 [ms]': 2.0}
    assert found['own'].message == '2 counters'


def test_only_an_active_node_listens(node):
    node.state = 'inactive'
    names = [health.name for health in Examination(node).examine()]
    assert names == ['lifecycle', 'worker', 'drops', 'stages', 'own']
    node.state, node.role = 'unconfigured', None
    assert [health.name for health in Examination(node).examine()] == ['lifecycle']


def test_growth_is_noted_although_nobody_looks(node):
    examination = Examination(node)
    examination.examine()
    node.statistics.count('drops.invalid')
    examination.examine()
    found = {health.name: health for health in examination.examine()}
    assert found['drops'].message == 'within 10 s: 1 invalid'
    for _ in range(10):
        examination.examine()
    assert {h.name: h for h in examination.examine()}['drops'].level is Level.OK


def test_the_last_run_of_a_stage_has_age_and_duration():
    statistics = Statistics()
    assert statistics.last_run('optimisation') is None
    statistics.add_stages({'optimisation': 5.0})
    statistics.add_stages({'optimisation': 7.0})
    age_s, elapsed_ms = statistics.last_run('optimisation')
    assert age_s >= 0
    assert elapsed_ms == 7.0


def test_percentiles_of_the_newest_runs_forget_the_older():
    statistics = Statistics()
    for elapsed_ms in (100.0, 100.0, 1.0, 1.0):
        statistics.add_stages({'features': elapsed_ms})
    assert statistics.stages(newest=2)[0].p95_ms == 1.0
    assert statistics.stages()[0].p95_ms == 100.0
