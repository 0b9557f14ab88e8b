"""S3E in the evaluation: what a query may know of its own recording, and what of others."""

import dataclasses

import cv2
import numpy as np
import pytest
from synthetic import make_frame, out_and_back, write_seven_scenes

from s3e_gnn_ros.config import Config, FeatureConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.evaluation.retrieval_build import build_experiment
from s3e_gnn_ros.evaluation.retrieval_images import ImageFolder
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_options import RetrievalOptions
from s3e_gnn_ros.evaluation.retrieval_s3e import S3EMethod
from s3e_gnn_ros.types import Encoding

NUM, GAP, DIM = 12, 4, 256


class Dreaming(S3EMethod):
    """S3E with its real GNN, to which each image is what the test says."""

    def __init__(self):
        super().__init__('s3e', Config(), GAP)
        self.embeddings = {}

    def encoding(self, item: Item) -> Encoding:
        nothing = np.zeros((0, 2), np.float32)
        return Encoding(self.embeddings[id(item)], nothing, nothing, np.zeros(0, np.intp))


@pytest.fixture(scope='module')
def method():
    return Dreaming()


@pytest.fixture(scope='module')
def frame():
    return make_frame(out_and_back(2)[0])


def drive(method, frame, source, embeddings):
    """Return items of one source with these embeddings."""
    features = OrbExtractor(FeatureConfig(num_features=50)).extract(frame)
    items = [Item(frame, features, source, i, f'x/{i}') for i in range(len(embeddings))]
    method.embeddings.update({id(item): e for item, e in zip(items, embeddings, strict=True)})
    return items


def unit(seed, num=NUM):
    """Neighbours on a drive are alike."""
    walk = np.random.default_rng(seed).standard_normal((num, DIM)).cumsum(axis=0)
    return (walk / np.linalg.norm(walk, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize('row', [GAP, GAP + 3, NUM - 1])
def test_a_query_never_meets_its_future(method, frame, row):
    own, other = drive(method, frame, '/a', unit(0)), drive(method, frame, '/b', unit(1))
    before = method.similarity_matrix(own, own + other)[row]
    # What comes after i - gap looks just like the query now, and must be worth nothing for it.
    later = [dataclasses.replace(item) if item.index > row - GAP else item for item in own]
    same = method.embeddings[id(own[row])]
    method.embeddings.update({id(item): same for item in later if item.index > row - GAP})
    after = method.similarity_matrix(own, later + other)[row]
    num_old = row - GAP + 1
    assert (before[:num_old] > 0).all()
    assert (before[num_old:NUM] == 0).all()
    assert (before[NUM:] > 0).all()  # all of another recording is known
    np.testing.assert_array_equal(after, before)


def test_the_map_of_a_query_ends_at_its_gap(method, frame):
    own = drive(method, frame, '/a', unit(0))
    whole = method.similarity_matrix(own, own)
    for row in range(GAP, NUM):
        num_old = row - GAP + 1
        alone = method.similarity_matrix(own[: row + 1], own[:num_old])[row]
        np.testing.assert_allclose(whole[row, :num_old], alone, rtol=1e-5)


def write_images(folder, frames):
    folder.mkdir(parents=True)
    for number, each in enumerate(frames):
        cv2.imwrite(str(folder / f'{number}.png'), each.image)
    return folder


def test_folders_of_one_base_name_are_two_drives(tmp_path):
    frames = [make_frame(pose) for pose in out_and_back(4)]
    extractor = OrbExtractor(FeatureConfig())
    queries, database = (
        ImageFolder(write_images(tmp_path / name / 'images', frames)).items(extractor)
        for name in ('qa', 'qb')
    )
    assert queries[0].source != database[0].source
    assert queries[0].name == database[0].name == 'images/0.png'  # labels go by base names
    similarity = S3EMethod('s3e', Config()).similarity_matrix(queries, database)
    assert (similarity > 0).all()


def test_distractors_may_be_called_as_the_recording(tmp_path):
    recording = write_seven_scenes(tmp_path / 'corner', out_and_back(6))
    frames = [make_frame(pose) for pose in out_and_back(2)]
    distractors = write_images(tmp_path / 'elsewhere' / 'corner', frames)
    options = RetrievalOptions(variants=('dis',), distractors=(distractors,), min_gap=2)
    experiment = build_experiment(recording, options, FeatureConfig(), lambda _: None)
    assert experiment.name == 'corner'
    assert experiment.database[0].name.startswith('corner/')
    (own,) = {item.source for item in experiment.queries}
    assert {item.source for item in experiment.distractors}.isdisjoint({own})
