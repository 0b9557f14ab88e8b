"""Batches of negatives only."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.training.batch_plan import BatchPlan
from s3e_gnn_ros.training.view_group import UNBOUNDED, boxes_meet


def boxes(positions):
    positions = np.asarray(positions, np.float32)[:, None, None]
    return np.concatenate([positions - 1, positions + 1], axis=1).repeat(3, axis=2)


def test_every_group_comes_once_in_an_epoch_of_distinct_scenes():
    plan = BatchPlan([f'{k}' for k in range(23)], np.stack([UNBOUNDED] * 23), 4, seed=1)
    assert plan.batches_per_epoch == 5
    epoch = [group for step in range(5) for group in plan.batch(step)]
    assert len(set(epoch)) == 20
    assert epoch != [group for step in range(5, 10) for group in plan.batch(step)]


def test_no_batch_has_two_groups_of_one_place():
    rng = np.random.default_rng(0)
    scenes = [f'world{k % 3}' for k in range(60)] + [f'photo{k // 2}' for k in range(40)]
    bounds = np.concatenate([boxes(rng.uniform(0, 20, 60)), np.stack([UNBOUNDED] * 40)])
    plan = BatchPlan(scenes, bounds, 8, seed=0)
    seen = set()
    for step in range(plan.batches_per_epoch):
        batch = plan.batch(step)
        seen.update(batch)
        assert len(set(batch)) == 8
        for i, a in enumerate(batch):
            for b in batch[:i]:
                assert scenes[a] != scenes[b] or not boxes_meet(bounds[a], bounds[b])
    assert len(seen) > 80


def test_steps_can_be_asked_in_any_order():
    bounds = np.stack([UNBOUNDED] * 12)
    plan = BatchPlan([str(k) for k in range(12)], bounds, 3, seed=4)
    forward = [plan.batch(step) for step in range(12)]
    assert [plan.batch(step) for step in reversed(range(12))] == forward[::-1]


def test_too_few_places_are_told():
    with pytest.raises(InputError, match='3 groups needs as many places'):
        BatchPlan(['a', 'a', 'a', 'b'], np.stack([UNBOUNDED] * 4), 3, seed=0)
    with pytest.raises(InputError, match='batch of 5'):
        BatchPlan(['a'] * 4, np.stack([UNBOUNDED] * 4), 5, seed=0)
