"""The database against DBoW2's definition, worked out by hand and written out densely."""

import numpy as np
import pytest
import synthetic

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.dbow import Database, IdRule, ImageFeatures
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.retrieval.vocabulary import Vocabulary

A, B, C = (np.full(32, value, np.uint8) for value in (0x00, 0xFF, 0x0F))


@pytest.fixture(name='words')
def _words():
    """Three words, of weight 1, 2 and 3."""
    return Vocabulary(
        np.stack([A, B, C]), np.array([3, 0, 0, 0], np.int32), np.array([1, 2, 3], np.float32)
    )


def features(*descriptors):
    return np.array(descriptors, np.uint8).reshape(-1, 32)


def test_scores_are_those_worked_out_by_hand(words):
    db = Database(vocabulary=words)
    assert db.add(features(A, A, B)) == 0  # tf-idf 2, 2 -> 1/2, 1/2, 0
    assert db.add(features(B, C)) == 1  # 2, 3 -> 0, 2/5, 3/5
    assert db.add(features(C)) == 2  # 0, 0, 1
    assert db.add(features()) == 3
    # The query: 1, 2, 3 -> 1/6, 1/3, 1/2. |q - v| = 1, 1/3, 1, and the score is 1 - |q - v| / 2.
    found = db.query(features(C, A, B), max_results=0)
    assert found.ids == [1, 0, 2]
    assert found.scores == pytest.approx([5 / 6, 1 / 2, 1 / 2], abs=1e-6)
    assert db.query(features(A, A), max_results=0).ids == [0]  # no word in common with 1 and 2
    assert db.query(features()) == []


def test_scores_are_dbow2s_definition(vocabulary, street):
    db = Database(vocabulary=vocabulary)
    vectors = np.zeros((12, vocabulary.num_words))
    for place, row in enumerate(vectors):
        descriptors = street.see(place).descriptors
        indices, weights = vocabulary.transform(descriptors)
        row[indices] = weights
        db.add(descriptors)
    indices, weights = vocabulary.transform(street.see(5, 7).descriptors)
    query = np.zeros(vocabulary.num_words)
    query[indices] = weights
    expected = 1.0 - 0.5 * np.abs(vectors - query).sum(axis=1)
    scores = db.compare(street.see(5, 7)).scores
    assert scores == pytest.approx(expected, abs=1e-5)
    assert scores.argmax() == 5
    assert 0.3 < scores[5] < 1.0


def test_vins_queries_and_then_adds(vocabulary, street):
    db = Database(vocabulary=vocabulary)
    for index in range(60):
        descriptors = street.see(index % 30, index).descriptors
        found = db.query(descriptors, 4, index - 20)
        assert db.add(descriptors) == index
        if index < 19:  # max_id < -1: nothing
            assert found == []
        elif index == 19:  # max_id -1: everything, as DBoW2 has it; VINS ignores that one
            assert len(found) == 4
        else:
            assert all(result.id <= index - 20 for result in found)
            assert all(0.0 < result.score <= 1.0 for result in found)
        if index >= 30:
            assert found[0].id in (index - 30, index - 31, index - 29)
    assert db.size == len(db) == 60


def test_max_id_is_documented_by_default_and_may_be_as_in_the_code(vocabulary, street):
    seen = street.see(3).descriptors
    found = {}
    for rule in IdRule:
        db = Database(vocabulary=vocabulary, id_rule=rule)
        for place in range(8):
            db.add(street.see(place).descriptors)
        found[rule] = db.query(seen, 1, max_id=3).ids, db.query(seen, 0, max_id=2).ids
    assert Database(vocabulary=vocabulary).id_rule is IdRule.DOCUMENTED
    assert found[IdRule.DOCUMENTED][0] == [3]
    assert found[IdRule.DBOW2][0] == [2]
    assert 2 in found[IdRule.DOCUMENTED][1]
    assert 2 not in found[IdRule.DBOW2][1]
    assert set(found[IdRule.VINS][1]) - set(found[IdRule.DBOW2][1]) <= {7}


def test_direct_index_holds_every_feature_once(vocabulary, street):
    db = Database(vocabulary=vocabulary)
    seen = street.see(0).descriptors
    db.add(street.see(1).descriptors)
    entry = db.add(seen)
    vector = db.retrieve_features(entry)
    words = vocabulary.words_of(seen)
    counted = np.sort(np.concatenate(list(vector.values())))
    assert counted.tolist() == np.flatnonzero(vocabulary.idf[words] > 0).tolist()
    for indices in vector.values():
        assert len(set(words[indices].tolist())) == 1
    root = Database(vocabulary=vocabulary, di_levels=vocabulary.depth)
    root.add(seen)
    assert list(root.retrieve_features(0)) == [0]


@pytest.mark.parametrize('entry', [-1, 2])
def test_an_unknown_entry_has_no_features(words, entry):
    db = Database(vocabulary=words)
    db.add(features(A))
    db.add(features(B))
    with pytest.raises(InputError, match=f'no entry {entry} among 2'):
        db.retrieve_features(entry)


def test_clear_starts_again_at_zero(words):
    db = Database(vocabulary=words)
    db.add(features(A))
    other = db.emptied()
    db.clear()
    assert (len(db), len(other)) == (0, 0)
    assert db.query(features(A)) == []
    assert db.add(features(B)) == 0
    assert len(other) == 0


def test_a_reused_buffer_is_not_mistaken_for_the_image_before(words):
    db = Database(vocabulary=words)
    buffer = features(A, A)
    db.add(buffer)
    buffer[:] = C
    db.query(buffer)
    db.add(buffer)
    assert db.query(features(C)).ids == [1]
    assert db.query(features(A)).ids == [0]


def test_an_image_is_embedded_once_for_query_and_addition(monkeypatch):
    from s3e_gnn_ros.encoder.encoder import Encoder

    calls = []
    embed = Encoder.embed
    monkeypatch.setattr(Encoder, 'embed', lambda *a: calls.append(1) or embed(*a))
    db = Database('s3e')
    image = synthetic.make_frame(synthetic.out_and_back(4)[0]).image
    seen = ImageFeatures(image)
    db.query(seen, 4, -50)
    db.add(seen)
    db.query(ImageFeatures(image))
    assert len(calls) == 2


@pytest.mark.parametrize(
    ('bad', 'sentence'),
    [
        (np.zeros((4, 31), np.uint8), r'descriptors are \(4, 31\) uint8'),
        (np.zeros((4, 32), np.float32), r'descriptors are \(4, 32\) float32'),
        (np.zeros((48, 64), np.uint8), r'ImageFeatures\(image=...\)'),
    ],
)
def test_other_arrays_are_refused_and_leave_the_database_whole(words, bad, sentence):
    db = Database(vocabulary=words)
    with pytest.raises(InputError, match=sentence):
        db.add(bad)
    assert len(db) == 0


def test_s3e_says_that_it_needs_the_image(street):
    db = Database('s3e')
    with pytest.raises(InputError, match="'s3e' needs the image"):
        db.query(street.see(0).descriptors)
    db.add(ImageFeatures(np.zeros((48, 64), np.uint8)))
    with pytest.raises(InputError, match='has no vocabulary'):
        db.retrieve_features(0)


def test_settings_that_do_not_exist_are_refused(words):
    with pytest.raises(ConfigError, match='method'):
        Database('fabmap')
    with pytest.raises(InputError, match='di_levels is -1'):
        Database(vocabulary=words, di_levels=-1)
    assert Database(Config(), vocabulary=words).method == 'bow'


def test_a_new_drive_is_asked_about_alone():
    db = Database('s3e')
    images = [synthetic.make_frame(pose).image for pose in synthetic.out_and_back(12)[:6]]
    for image in images:
        db.add(ImageFeatures(image))
    query = ImageFeatures(images[2][:, ::-1].copy())
    alone = db.compare(query, is_next=False).ranks_by
    fresh = Database('s3e')
    for image in images:
        fresh.add(ImageFeatures(image))
    assert db.compare(query).ranks_by != pytest.approx(alone, abs=1e-4)
    entry = db.add(query, is_next=False)
    assert not db._backend._map.reference.graph.neighbours(entry)
    fresh_entry = fresh.add(query)
    assert fresh._backend._map.reference.graph.neighbours(fresh_entry)


def test_a_loop_becomes_an_edge_of_the_graph():
    db = Database('s3e')
    images = [synthetic.make_frame(pose).image for pose in synthetic.out_and_back(12)[:6]]
    for image in images:
        db.add(ImageFeatures(image), is_next=False)
    before = db.compare(ImageFeatures(images[0]), is_next=False).ranks_by
    db.join(5, 0)
    assert db.compare(ImageFeatures(images[0]), is_next=False).ranks_by != pytest.approx(before)
    with pytest.raises(InputError, match='with itself'):
        db.join(1, 1)
    with pytest.raises(InputError, match='no entry 6 among 6'):
        db.join(6, 1)
