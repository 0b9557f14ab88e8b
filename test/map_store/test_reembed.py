import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from made_up_map import is_same, make_closure, make_keyframe
from synthetic import look_at, make_frame

from s3e_gnn_ros.config import FeatureConfig, RetrievalConfig
from s3e_gnn_ros.encoder.encoder import load_encoder
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.view import make_view
from s3e_gnn_ros.map_store.reembed import embed_thumbnail, reembed
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.thumbnail import make_thumbnail
from s3e_gnn_ros.map_store.weights import weights_of
from s3e_gnn_ros.types import Encoding, Keyframe


class _Encoder:
    """Makes up an encoding; fails after a number of images."""

    def __init__(self, most=100):
        self.images = []
        self._most = most

    def embed(self, image, features, depth_m):
        if len(self.images) == self._most:
            raise RuntimeError('power cut')
        self.images.append(SimpleNamespace(shape=image.shape, depth=depth_m, features=features))
        embedding = np.zeros(4, np.float32)
        embedding[len(self.images) % 4] = 1
        descriptors = np.full((2, 3), len(self.images), np.float32)
        points = np.zeros((2, 2), np.float32)
        return Encoding(embedding, descriptors, points, np.array([5, -1]))


def _fill(store, num=5):
    for number in range(num):
        store.add(make_keyframe(number), [make_closure(number, 0)] if number else [])


def test_embeddings_and_patches_are_made_anew(store):
    _fill(store)
    encoder, progress = _Encoder(), []
    assert reembed(store, encoder, 'd2', 'w2', lambda *numbers: progress.append(numbers)) == 5
    assert progress == [(n, 5) for n in range(1, 6)]
    assert (store.weights_digest, store.weights_name) == ('d2', 'w2')
    rows = store.rows()
    assert rows.embeddings.shape == (5, 4)
    assert rows.embeddings.argmax(axis=1).tolist() == [1, 2, 3, 0, 1]
    for number, key in enumerate(rows.keys):
        view, before = store.view(key), make_keyframe(number).view
        assert is_same(view.features, before.features)
        assert view.patches.descriptors.tolist() == [[number + 1] * 3]
        assert view.patches.feature_index.tolist() == [5]
        assert is_same(encoder.images[number].features, before.features)
        assert encoder.images[number].shape == (before.camera.height, before.camera.width)
        assert encoder.images[number].depth.shape == encoder.images[number].shape
    assert len(store.closures()) == 4


def test_an_interrupted_run_leaves_the_old_weights_and_goes_on_later(store):
    _fill(store)
    before = store.rows().embeddings
    with pytest.raises(RuntimeError):
        reembed(store, _Encoder(most=3), 'd2')
    assert store.weights_digest == 'd1'
    assert np.array_equal(store.rows().embeddings, before)
    assert is_same(store.view(make_keyframe(1).key), make_keyframe(1).view)
    store.close()
    with MapStore.open(store.path) as again:
        encoder = _Encoder()
        assert reembed(again, encoder, 'd2') == 2
        assert again.weights_digest == 'd2'
        assert again.rows().embeddings.shape == (5, 4)
    with MapStore.open(store.path) as again:
        again.check_weights('d2')
        assert reembed(again, _Encoder(most=0), 'd2') == 0


def test_a_keyframe_without_thumbnail_is_told(store):
    store.add(dataclasses.replace(make_keyframe(3), thumbnail=None))
    with pytest.raises(InputError, match='keyframe 1/3 has no thumbnail'):
        reembed(store, _Encoder(), 'd2')
    assert store.weights_digest == 'd1'


def test_a_keyframe_with_nothing_to_embed_stays_without(store):
    bare = make_keyframe(3)
    view = dataclasses.replace(bare.view, patches=None)
    store.add(dataclasses.replace(bare, thumbnail=None, embedding=None, view=view))
    store.add(make_keyframe(4))
    assert reembed(store, _Encoder(), 'd2') == 1
    assert np.isnan(store.rows().embeddings[0]).all()


def test_a_read_only_map_is_not_re_embedded(store):
    _fill(store, 1)
    store.close()
    with (
        MapStore.open(store.path, read_only=True) as again,
        pytest.raises(InputError, match='opened read-only'),
    ):
        reembed(again, _Encoder(), 'd2')


@pytest.mark.parametrize('width_px', [200, 320])
def test_a_thumbnail_gives_nearly_the_same_embedding(width_px):
    """With the encoder that ships; images are 320 px wide."""
    encoder, extractor = load_encoder(), OrbExtractor(FeatureConfig())
    near, far = [], []
    for number in range(3):
        frame = make_frame(look_at([-1 + number, 0, 0], [1.5, 0.5 * number, 4]))
        features = extractor.extract(frame)
        encoding = encoder.embed(frame.image, features, frame.depth_m)
        view = make_view(Keyframe(number, 1, frame, features, encoding))
        found = embed_thumbnail(encoder, view, make_thumbnail(frame.image, width_px))
        near.append(float(found.embedding @ encoding.embedding))
        far.append(found.embedding)
    assert min(near) > (0.99 if width_px < 320 else 0.9999)
    assert min(near) > max(float(far[0] @ far[1]), float(far[1] @ far[2]))


def test_weights_are_told_by_their_digest():
    digest, name = weights_of(RetrievalConfig())
    assert len(digest) == 64
    assert name == 'vlad'
    assert weights_of(RetrievalConfig(method='bow')) == ('', '')
    with pytest.raises(InputError, match="no weights 'nothing'"):
        weights_of(RetrievalConfig(weights='nothing'))
