"""The inverse cross-entropy product (paper Eq. 2), and its form as an inner product.

With logits x of a reference node and m = sigmoid(x), the cross entropy of K Bernoulli variables is

    CE = -sum_k q_k log m_k + (1 - q_k) log(1 - m_k) = sum_k softplus(x_k) - q_k x_k
       = K log 2 + h(x) - (q - 1/2) . x,   h(x) = sum_k log cosh(x_k / 2)

so that a search by U is a maximum inner product search over the vectors [x, h(x)] with the query
[q - 1/2, -1]; in the paper's form over [log m, 0] with [q, -1].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def inverse_cross_entropy(
    q: Tensor, logits: Tensor, eta: float = 1.0, form: str = 'improved'
) -> Tensor:
    """Compare each query node with each reference node.

    Paper: ``U = 1 / (eta - sum_k q_k log m_k)``, Eq. 2 literally. A node with m = 1 everywhere is
    the best match of any query.

    Differs from the paper (improved): the complement counts as well, so that m = q is best; and
    the entropy of q is subtracted, so that U is 1 / eta there, and comparable between queries.
    For small logits, ``U = 1 / (eta + |x_q - x|^2 / 8)``.

    Args:
        q: (W, K) in (0, 1), of the query sub-graph.
        logits: (N, K) of the reference graph.
        eta: above 0.
        form: 'improved' or 'paper'.

    Returns:
        U (W, N) in (0, 1 / eta]; differentiable.
    """
    vectors = index_vectors(logits, form)
    return similarity(index_queries(q, form) @ vectors.T, q, eta, form)


def index_vectors(logits: Tensor, form: str = 'improved') -> Tensor:
    """Return the vectors (N, K + 1) to search among, for logits (N, K)."""
    if form == 'paper':
        return functional.pad(functional.logsigmoid(logits), (0, 1))
    # log cosh(x / 2), without overflow.
    h = (functional.softplus(logits) - 0.5 * logits - math.log(2.0)).sum(dim=1, keepdim=True)
    return torch.cat([logits, h], dim=1)


def index_queries(q: Tensor, form: str = 'improved') -> Tensor:
    """Return the vectors (W, K + 1) to search with, for q (W, K)."""
    return functional.pad(q if form == 'paper' else q - 0.5, (0, 1), value=-1.0)


def similarity(scores: Tensor, q: Tensor, eta: float = 1.0, form: str = 'improved') -> Tensor:
    """Turn inner products (W, N) into U (W, N), for q (W, K)."""
    if form == 'paper':
        return 1.0 / (eta - scores)
    # K log 2 less the entropy of q, as one sum of small numbers.
    deficit = math.log(2.0) * q.shape[1] - _entropy(q)  # (W, 1)
    return 1.0 / (eta + (deficit - scores).clamp(min=0.0))


def _entropy(q: Tensor) -> Tensor:
    entropies: Tensor = torch.special.entr(q) + torch.special.entr(1.0 - q)
    return entropies.sum(dim=1, keepdim=True)


def chain_edge_index(num_nodes: int) -> Tensor:
    """Return the edges (2, 2 (n - 1)) of successive keyframes, in both directions."""
    ahead = torch.arange(num_nodes - 1)
    pairs = torch.stack([ahead, ahead + 1])
    return torch.cat([pairs, pairs.flip(0)], dim=1)
