"""Bag of words as the detector uses it, on keyframes."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.retrieval.bow import BagOfWords
from s3e_gnn_ros.retrieval.interface import Retrieval
from s3e_gnn_ros.retrieval.training import train_vocabulary
from s3e_gnn_ros.types import Features, Frame, Keyframe


def keyframe(descriptors, keyframe_id=0):
    count = len(descriptors)
    camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=32.0, cy=24.0)
    frame = Frame(0, np.zeros((48, 64), dtype=np.uint8), camera, T_odom_camera=np.eye(4))
    features = Features(
        points_px=np.zeros((count, 2), dtype=np.float32),
        points_normalised=np.zeros((count, 2)),
        sizes_px=np.ones(count, dtype=np.float32),
        angles_deg=np.zeros(count, dtype=np.float32),
        responses=np.zeros(count, dtype=np.float32),
        descriptors=descriptors,
        landmarks_m=np.full((count, 3), np.nan),
    )
    return Keyframe(keyframe_id, 0, frame, features)


WORLD = np.random.default_rng(50).integers(0, 256, (2000, 32), dtype=np.uint8)
"""Descriptors of every corner there is."""


def seen_again(descriptors, rng):
    """The same corners from elsewhere: some bits flipped, and some corners replaced."""
    again = descriptors ^ np.packbits(rng.random((len(descriptors), 256)) < 0.05, axis=1)
    again[:30] = WORLD[rng.integers(0, len(WORLD), 30)]
    return rng.permutation(again)


def places(count, rng):
    """Each place shows 100 corners of the world."""
    return [rng.permutation(WORLD)[:100] for _ in range(count)]


@pytest.fixture(name='vocabulary', scope='module')
def _vocabulary():
    rng = np.random.default_rng(100)
    images = [seen_again(place, rng) for place in places(60, rng)]
    return train_vocabulary(images, branching=6, depth=4)


def test_finds_the_place_again(vocabulary):
    rng = np.random.default_rng(0)
    bow: Retrieval = BagOfWords(vocabulary)
    seen = places(80, rng)
    for number, descriptors in enumerate(seen):
        assert bow.add(keyframe(descriptors, number)) == number
    assert len(bow) == 80
    for number in (0, 40, 79):
        similarities = bow.similarities(keyframe(seen_again(seen[number], rng)))
        assert similarities.shape == (80,)
        assert similarities.dtype == np.float32
        assert similarities.argmax() == number
        assert similarities.min() >= 0.0


def test_same_keyframe_is_entirely_similar(vocabulary):
    bow = BagOfWords(vocabulary)
    frame = keyframe(places(1, np.random.default_rng(1))[0])
    assert bow.similarities(frame).shape == (0,)
    bow.add(frame)
    assert bow.similarities(frame)[0] == pytest.approx(1.0, abs=1e-6)


def test_score_is_dbow2s(vocabulary):
    one, two = places(2, np.random.default_rng(2))
    two[:50] = one[:50]
    bow = BagOfWords(vocabulary)
    bow.add(keyframe(one))
    vectors = np.zeros((2, vocabulary.num_words))
    for row, descriptors in zip(vectors, (one, two), strict=True):
        words, weights = vocabulary.transform(descriptors)
        row[words] = weights
    expected = 1.0 - 0.5 * np.abs(vectors[0] - vectors[1]).sum()
    assert 0.1 < expected < 0.9
    assert bow.similarities(keyframe(two))[0] == pytest.approx(expected, abs=1e-6)


def test_keyframe_without_features_is_like_nothing(vocabulary):
    bow = BagOfWords(vocabulary)
    empty = keyframe(np.zeros((0, 32), dtype=np.uint8))
    full = keyframe(places(1, np.random.default_rng(3))[0])
    bow.add(empty)
    bow.add(full)
    assert bow.similarities(empty).tolist() == [0.0, 0.0]
    assert bow.similarities(full) == pytest.approx([0.0, 1.0], abs=1e-6)


def test_keyframe_is_transformed_once_for_query_and_addition(vocabulary, monkeypatch):
    calls = []
    transform = type(vocabulary).transform
    monkeypatch.setattr(
        type(vocabulary), 'transform', lambda self, d: calls.append(1) or transform(self, d)
    )
    bow = BagOfWords(vocabulary)
    rng = np.random.default_rng(4)
    for descriptors in places(3, rng):
        frame = keyframe(descriptors)
        bow.similarities(frame)
        bow.add(frame)
    assert len(calls) == 3


def test_other_descriptors_are_refused_and_leave_the_index_whole(vocabulary):
    bow = BagOfWords(vocabulary)
    with pytest.raises(InputError, match='descriptors are'):
        bow.add(keyframe(np.zeros((5, 64), dtype=np.uint8)))
    assert len(bow) == 0
