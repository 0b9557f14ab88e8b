"""What is in the database of a variant, and how often a method is asked."""

import numpy as np
import pytest
from synthetic import look_at, make_frame

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.evaluation.retrieval_degradations import parse_variant
from s3e_gnn_ros.evaluation.retrieval_experiment import Experiment, true_pairs
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relevance import NEGATIVE, POSITIVE
from s3e_gnn_ros.evaluation.retrieval_run import ExperimentRun
from s3e_gnn_ros.evaluation.retrieval_write import write_outcome

NUM, NUM_DISTRACTORS = 4, 3
VARIANTS = ('plain', 'rot20', 'dis', 'rot20+dis')


class Neighbourly:
    """A method whose every similarity depends on all that is in the database."""

    name = 'neighbourly'

    def __init__(self):
        self.embedding_ms, self.query_ms = [1.0], [1.0]
        self.asked = []

    def similarity_matrix(self, queries, database):
        self.asked.append(len(database))
        share = np.random.default_rng(0).random((len(queries), len(database)))
        return (share / len(database)).astype(np.float32)


@pytest.fixture(scope='module')
def items():
    extractor = OrbExtractor(FeatureConfig())
    frames = [
        make_frame(look_at([-1.0 + 0.1 * i, -0.2, 0.6], [0.8 - 1.5 * i, 0.4, 4.0]), i)
        for i in range(NUM)
    ]
    return [
        Item(frame, extractor.extract(frame), '/data/drive', i, f'drive/{i}')
        for i, frame in enumerate(frames)
    ]


def experiment(items, num_distractors):
    return Experiment(
        name='drive',
        queries=items,
        database=items,
        may_match=np.ones((NUM, NUM), dtype=bool),
        relevance=np.where(np.eye(NUM), POSITIVE, NEGATIVE).astype(np.int8),
        distractors=items[:num_distractors],
        truth=true_pairs(items),
    )


def run(items, num_distractors, *variants):
    method = Neighbourly()
    evaluation = ExperimentRun(
        experiment(items, num_distractors),
        [method],
        OrbExtractor(FeatureConfig()),
        rerankers={},
        weights={},
        num_bootstrap=0,
    )
    return method, evaluation.run([parse_variant(name) for name in variants])


def test_distractors_touch_no_variant_without_them(items):
    _, alone = run(items, 0, 'plain', 'rot20')
    _, beside = run(items, NUM_DISTRACTORS, *VARIANTS)
    rows = {row.variant.name: row for row in beside.rows}
    for row in alone.rows:
        other = rows[row.variant.name]
        assert np.array_equal(row.similarity, other.similarity)
        assert np.array_equal(row.relevance, other.relevance)
        assert row.before.values == pytest.approx(other.before.values, nan_ok=True)
        assert repr(alone.yaw[row.variant.name]) == repr(beside.yaw[row.variant.name])
    assert alone.similarity_error == beside.similarity_error
    for name in ('dis', 'rot20+dis'):
        assert rows[name].similarity.shape == (NUM, NUM + NUM_DISTRACTORS)
        assert rows[name].relevance.shape == (NUM, NUM + NUM_DISTRACTORS)


def test_one_matrix_serves_all_variants_of_one_database(items):
    method, outcome = run(items, NUM_DISTRACTORS, *VARIANTS)
    assert method.asked == [NUM, NUM + NUM_DISTRACTORS]
    plain, rotated, dis, _ = outcome.rows
    assert plain.similarity is rotated.similarity
    assert plain.similarity is outcome.plain_similarity[method.name]
    assert plain.similarity is not dis.similarity


def test_files_hold_what_is_reported(items, tmp_path):
    _, outcome = run(items, NUM_DISTRACTORS, 'dis', 'blur')
    write_outcome(outcome, tmp_path)
    for row in outcome.rows:
        name = tmp_path / f'similarity_neighbourly_{row.variant.name}.npz'
        with np.load(name) as file:
            assert np.array_equal(file['similarity'], row.similarity)
            assert np.array_equal(file['relevance'], row.relevance)
            num = row.similarity.shape[1]
            assert len(file['database_name']) == len(file['database_stamp_ns']) == num
    assert (tmp_path / 'overlap_neighbourly.png').is_file()
