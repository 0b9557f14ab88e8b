import numpy as np
import pytest

from s3e_gnn_ros.loop_closure.matching import match_descriptors


def flip_bits(descriptors, num_bits):
    """Flip the first bits of each descriptor."""
    bits = np.unpackbits(descriptors, axis=1)
    bits[:, :num_bits] ^= 1
    return np.packbits(bits, axis=1)


@pytest.fixture
def descriptors():
    return np.random.default_rng(0).integers(0, 256, (50, 32), dtype=np.uint8)


def test_shuffled_descriptors_find_each_other(descriptors):
    order = np.random.default_rng(1).permutation(50)
    pairs = match_descriptors(descriptors, descriptors[order], 64, 0.85)
    assert len(pairs) == 50
    np.testing.assert_array_equal(order[pairs[:, 1]], pairs[:, 0])


@pytest.mark.parametrize(('bits', 'num_pairs'), [(30, 50), (31, 0)])
def test_the_limit_on_the_distance_is_inclusive(descriptors, bits, num_pairs):
    assert len(match_descriptors(descriptors, flip_bits(descriptors, bits), 30, 1.0)) == num_pairs


def test_an_ambiguous_match_is_left_out(descriptors):
    twice = np.concatenate([flip_bits(descriptors, 10), flip_bits(descriptors[:1], 11)])
    pairs = match_descriptors(descriptors, twice, 64, 0.85)
    assert len(pairs) == 49
    assert 0 not in pairs[:, 0]


def test_two_queries_for_one_match_leave_the_nearer(descriptors):
    queries = np.concatenate([flip_bits(descriptors[:1], 20), descriptors])
    pairs = match_descriptors(queries, descriptors, 64, 0.85)
    assert [0, 0] not in pairs.tolist()
    assert [1, 0] in pairs.tolist()


def test_unrelated_descriptors_do_not_match(descriptors):
    others = np.random.default_rng(2).integers(0, 256, (60, 32), dtype=np.uint8)
    assert match_descriptors(descriptors, others, 64, 0.85).shape == (0, 2)


@pytest.mark.parametrize('sizes', [(0, 0), (0, 5), (5, 0), (1, 5), (5, 1)])
def test_too_few_descriptors_do_not_match(descriptors, sizes):
    a, b = (descriptors[:size] for size in sizes)
    assert match_descriptors(a, b, 64, 0.85).shape == (0, 2)
