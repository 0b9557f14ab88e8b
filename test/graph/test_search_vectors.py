"""The numpy form equals the differentiable one."""

import numpy as np
import pytest
import torch

from s3e_gnn_ros.graph.gnn_config import FORMS
from s3e_gnn_ros.graph.query import index_queries, index_vectors, inverse_cross_entropy
from s3e_gnn_ros.graph.search_vectors import (
    query_vectors,
    reference_vectors,
    similarity_of_scores,
)


def draw(num, scale, seed):
    rng = np.random.default_rng(seed)
    return (scale * rng.standard_normal((num, 256))).astype(np.float32)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('scale', [0.1, 3.0, 300.0])
def test_vectors_are_those_of_torch(form, scale):
    logits = draw(20, scale, 0)
    expected = index_vectors(torch.from_numpy(logits).double(), form).numpy()
    np.testing.assert_allclose(reference_vectors(logits, form), expected, rtol=1e-6, atol=1e-5)
    q = torch.sigmoid(torch.from_numpy(logits))
    np.testing.assert_array_equal(query_vectors(q.numpy(), form), index_queries(q, form).numpy())


@pytest.mark.parametrize('form', FORMS)
def test_similarity_keeps_single_precision(form):
    """A query of 256 numbers: its entropy alone is a hundred times the difference that counts."""
    logits = draw(50, 0.12, 0)
    q = torch.sigmoid(torch.from_numpy(logits[:3] + draw(3, 0.02, 1)))
    scores = query_vectors(q.numpy(), form) @ reference_vectors(logits, form).T
    found = similarity_of_scores(scores.copy(), q.numpy(), 1.0, form)
    doubles = q.double(), torch.from_numpy(logits).double()
    expected = inverse_cross_entropy(*doubles, 1.0, form).numpy()
    np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize('form', FORMS)
def test_no_rows(form):
    none = np.zeros((0, 4), dtype=np.float32)
    assert reference_vectors(none, form).shape == (0, 5)
    assert query_vectors(none, form).shape == (0, 5)
