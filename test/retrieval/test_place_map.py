import numpy as np
import pytest
import torch

from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.weights import load_weights, save_weights
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.retrieval.place_map import PlaceMap

DIM = 256


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """An untrained model: ranks as the cosine does; identity as calibration."""
    torch.manual_seed(0)
    config, gnn = EncoderConfig(), GNNConfig()
    knots = torch.linspace(0.0, 1.0, 5)
    parts = {
        'encoder': build_encoder(config).state_dict(),
        'gnn': build_gnn(gnn).state_dict(),
        'calibration': {
            f'{of}.{name}': knots
            for of in ('encoder', 'gnn')
            for name in ('similarities', 'probabilities', 'overlaps')
        },
    }
    description = {'encoder': vars(config), 'gnn': gnn.to_dict(), 'calibration': {}}
    path = tmp_path_factory.mktemp('weights') / 'untrained.safetensors'
    save_weights(path, parts, description)
    return load_weights(str(path))


def places(num, seed=0):
    """Embeddings of different places."""
    vectors = np.random.default_rng(seed).standard_normal((num, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize('use_gnn', [True, False])
def test_a_place_seen_before_comes_first(weights, use_gnn):
    place_map = PlaceMap(weights, use_gnn)
    embeddings = places(20)
    for number, embedding in enumerate(embeddings):
        assert place_map.add(embedding, stamp_ns=number) == number
    matches = place_map.query([embeddings[7]], k=3)
    assert matches[0].node == 7
    assert matches[0].similarity > matches[1].similarity
    assert 0.0 <= matches[-1].similarity <= 1.0
    assert len(matches) == 3


def test_an_empty_map_answers_nothing(weights):
    assert PlaceMap(weights).query([places(1)[0]]) == []


def test_a_removed_keyframe_is_found_no_more(weights):
    place_map = PlaceMap(weights)
    for embedding in places(5):
        place_map.add(embedding)
    place_map.remove(3)
    assert 3 not in [match.node for match in place_map.query([places(5)[3]], k=5)]
    assert place_map.add(places(1, seed=9)[0]) == 5
    with pytest.raises(InputError, match='no node 3'):
        place_map.join(3, 4)


def test_sessions_are_joined_by_loops_only(weights):
    place_map = PlaceMap(weights)
    embedding = places(1)[0]
    first = place_map.add(embedding, session=0)
    second = place_map.add(embedding, session=1)
    graph = place_map.reference.graph
    assert graph.neighbours(first) == []
    assert place_map.join(second, first)
    assert not place_map.join(second, first)
    assert graph.neighbours(first) == [second]


def test_successive_keyframes_are_neighbours_and_similar_ones_covisible(weights):
    place_map = PlaceMap(weights)
    a, b, c = places(3)
    nodes = [place_map.add(e) for e in (a, b, c, a)]
    neighbours = place_map.reference.graph.neighbours(nodes[3])
    assert sorted(neighbours) == [nodes[0], nodes[2]]


@pytest.mark.parametrize(
    'query', [[], [np.zeros(3, np.float32)], [np.zeros((1, DIM), np.float32)]]
)
def test_a_query_of_another_shape_is_refused(weights, query):
    place_map = PlaceMap(weights)
    place_map.add(places(1)[0])
    with pytest.raises(InputError, match='a query has embeddings of'):
        place_map.query(query)


@pytest.mark.parametrize('value', [np.nan, np.inf, 1e5, 1.0])
def test_what_is_no_embedding_is_neither_added_nor_asked_for(weights, value):
    place_map = PlaceMap(weights)
    good = places(1)[0]
    wrong = np.full(DIM, value, np.float32)
    with pytest.raises(InputError, match='instead of 1 or 0'):
        place_map.add(wrong)
    assert len(place_map) == 0
    place_map.add(good.tolist())  # a list will do
    with pytest.raises(InputError, match='instead of 1 or 0'):
        place_map.query([good, wrong])
    assert [match.node for match in place_map.query([good])] == [0]


@pytest.mark.parametrize('loop', [[0, 3], [-1, 0], [1, 1]])
def test_a_loop_of_no_keyframe_restores_nothing(weights, loop):
    place_map = PlaceMap(weights)
    with pytest.raises(InputError, match=f'loop \\[{loop[0]}, {loop[1]}\\]'):
        place_map.restore(
            places(3),
            stamps_ns=np.arange(3),
            sessions=np.zeros(3, np.int64),
            T_odom_camera=np.full((3, 4, 4), np.nan),
            loops=np.array([loop]),
        )
    assert len(place_map) == 0


@pytest.mark.parametrize('use_gnn', [True, False])
def test_blank_images_are_no_answers_and_get_none(weights, use_gnn):
    place_map = PlaceMap(weights, use_gnn)
    embeddings = with_blanks(12)
    for embedding in embeddings:
        place_map.add(embedding)
    found = place_map.query([-embeddings[1]], k=12)  # less like anything than nothing at all
    assert sorted(match.node for match in found) == [n for n in range(12) if n not in (4, 9)]
    assert place_map.query([embeddings[1], embeddings[4]]) == []


def with_blanks(num):
    """Embeddings along a path with two images of a bare wall."""
    embeddings = places(num, seed=3)
    embeddings[[4, 9]] = 0.0
    return embeddings


def test_a_blank_keyframe_is_not_found_and_no_path_leads_over_it(weights):
    place_map = PlaceMap(weights)
    embeddings = with_blanks(12)
    for embedding in embeddings:
        place_map.add(embedding)
    graph = place_map.reference.graph
    assert graph.neighbours(4) == []
    assert 5 in graph.neighbours(3)
    assert not place_map.join(4, 0)
    np.testing.assert_array_equal(
        place_map.recent_embeddings(0)[-2:], graph.embeddings(np.array([10, 11]))
    )
    assert not place_map.scores(embeddings[9:10]).any()
    assert place_map.scores(embeddings[3:4])[4] == 0.0


def test_a_blank_keyframe_before_says_nothing(weights):
    place_map = PlaceMap(weights)
    embeddings = with_blanks(12)
    for embedding in embeddings:
        place_map.add(embedding)
    blank, seen = [embeddings[4]], embeddings[[2, 3, 5]]
    np.testing.assert_array_equal(
        place_map.scores(np.stack([*seen[:2], *blank, seen[2]])), place_map.scores(seen)
    )
    assert place_map.query([*seen[:2], *blank, seen[2]], k=1)[0].node == 5


def test_a_restored_map_with_blank_keyframes_is_the_same(weights):
    one_by_one, restored = PlaceMap(weights), PlaceMap(weights)
    embeddings = with_blanks(12)
    for embedding in embeddings:
        one_by_one.add(embedding)
    one_by_one.join(0, 11)
    restored.restore(
        embeddings,
        stamps_ns=np.zeros(12, np.int64),
        sessions=np.zeros(12, np.int64),
        T_odom_camera=np.full((12, 4, 4), np.nan),
        loops=np.array([[4, 8], [0, 11]]),
    )
    for node in range(12):
        graphs = [each.reference.graph.neighbours(node) for each in (one_by_one, restored)]
        assert graphs[0] == graphs[1]
    query = places(3, seed=5)
    np.testing.assert_array_equal(one_by_one.scores(query), restored.scores(query))
    np.testing.assert_array_equal(one_by_one.recent_embeddings(0), restored.recent_embeddings(0))
