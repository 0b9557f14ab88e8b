"""Distances against counting bits one by one."""

import numpy as np
import pytest

from s3e_gnn_ros.retrieval import hamming


def _descriptors(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def _slow(a, b):
    return int(np.unpackbits(a ^ b).sum())


@pytest.mark.parametrize('count', [hamming.popcount, hamming.popcount_portable])
def test_popcount_counts_bits(count):
    values = np.array([0, 1, 2**64 - 1, 0x8000000000000001, 0x0F0F], dtype=np.uint64)
    assert count(values).tolist() == [0, 1, 64, 2, 8]
    values = _descriptors(100, 0).view(np.uint64)
    assert count(values).tolist() == [[int(v).bit_count() for v in row] for row in values]


@pytest.mark.parametrize('count', [hamming.popcount, hamming.popcount_portable])
def test_distances_equal_bit_by_bit(count, monkeypatch):
    monkeypatch.setattr(hamming, 'popcount', count)
    a, b = _descriptors(7, 1), _descriptors(5, 2)
    b[0] = ~a[0]  # all 256 bits: more than a byte can count
    truth = [[_slow(x, y) for y in b] for x in a]
    planes = hamming.to_planes(a), hamming.to_planes(b)
    assert truth[0][0] == 256
    assert hamming.distances_to_all(*planes).tolist() == truth
    blocks = np.stack([planes[1][:, :3], planes[1][:, 2:]], axis=1)  # (4, 2, 3)
    choice = np.arange(7) % 2
    expected = [row[2:] if second else row[:3] for row, second in zip(truth, choice, strict=True)]
    assert hamming.distances_to_blocks(planes[0], blocks, choice).tolist() == expected


def test_no_descriptors_have_no_distances():
    empty = hamming.to_planes(np.zeros((0, 32), dtype=np.uint8))
    assert hamming.distances_to_all(empty, hamming.to_planes(_descriptors(3, 0))).shape == (0, 3)
