"""The loss of the GNN: rows of U against rows of the overlap."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from s3e_gnn_ros.training.losses import MAX_UNRELATED_OVERLAP, MIN_OVERLAP


def gnn_loss(similarity: Tensor, overlap: Tensor, temperature: float) -> Tensor:
    """Cross entropy between the softmax of U's row and the row-normalised IoU (paper III-C).

    Differs from the paper: a temperature (U spans a small part of its range, so that without
    one the softmax is nearly flat); rows without any overlap, which cannot be normalised, do not
    count.

    Args:
        similarity: U (R, N).
        overlap: (R, N) in [0, 1].
        temperature: U is divided by it.

    Returns:
        A scalar, the mean over rows with overlap; 0 without any.
    """
    total = overlap.sum(dim=1, keepdim=True)
    target = overlap / total.clamp_min(1e-12)
    terms = -(target * functional.log_softmax(similarity / temperature, dim=1)).sum(dim=1)
    return terms.sum() / (total > 0).sum().clamp_min(1)


def ranking_loss(similarity: Tensor, overlap: Tensor, temperature: float) -> Tensor:
    """Ask that every query's truth be more similar than any query's best wrong reference.

    The threshold of a robot is one for all its queries, and lies above all that is wrong: so
    truths are compared with what is wrong for other queries, too. :func:`gnn_loss` compares within
    a row and wants the spread of the overlap along it, which averaging more and more neighbours
    gives, until a query that has turned round a corner answers with the place before the corner.

    Not in the paper.

    Args:
        similarity: U (R, N).
        overlap: (R, N) in [0, 1]; a truth has at least 0.3, what is wrong at most 0.02.
        temperature: differences of U are divided by it.

    Returns:
        A scalar, the mean over pairs of a row with a truth and a row with something wrong; 0
        without any.
    """
    truth = similarity.masked_fill(overlap < MIN_OVERLAP, -torch.inf).max(dim=1).values
    wrong = similarity.masked_fill(overlap > MAX_UNRELATED_OVERLAP, -torch.inf).max(dim=1).values
    truth, wrong = truth[truth.isfinite()], wrong[wrong.isfinite()]
    terms = functional.softplus((wrong[None, :] - truth[:, None]) / temperature)
    return terms.sum() / max(terms.numel(), 1)
