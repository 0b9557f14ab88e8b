"""The loss of the GNN: rows of U against rows of the overlap."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from s3e_gnn_ros.training.losses import MIN_OVERLAP


def gnn_loss(similarity: Tensor, overlap: Tensor, temperature: float) -> Tensor:
    """Cross entropy between the softmax of U's row and the row-normalised IoU (paper III-C).

    Differs from the paper: a temperature (U spans a small part of its range, so that without
    one the softmax is nearly flat); rows without any overlap, which cannot be normalised, are
    left to :func:`presence_loss`.

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


def presence_loss(similarity: Tensor, overlap: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Binary cross entropy of "this keyframe has been here", from a row's best U.

    A row with an overlap of at least 0.3 is judged by U of its best truth, a row without any
    overlap by its highest U, and rows in between are left out. The probability is
    ``sigmoid(scale * (U - offset))``, both learned with the GNN: this teaches U an absolute
    level, which the softmax of :func:`gnn_loss` leaves open.

    Args:
        similarity: U (R, N).
        overlap: (R, N) in [0, 1].
        scale: scalar, above 0.
        offset: scalar.

    Returns:
        A scalar, the mean over rows that count; 0 without any.
    """
    best = overlap.max(dim=1)
    is_here, is_new = best.values >= MIN_OVERLAP, best.values == 0
    at_truth = similarity.gather(1, best.indices[:, None]).squeeze(1)  # (R,)
    judged = torch.where(is_here, at_truth, similarity.max(dim=1).values)
    logits = scale * (judged - offset)
    terms = functional.binary_cross_entropy_with_logits(
        logits, is_here.to(logits.dtype), reduction='none'
    )
    counts = is_here | is_new
    return (terms * counts).sum() / counts.sum().clamp_min(1)
