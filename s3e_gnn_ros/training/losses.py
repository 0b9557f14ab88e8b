"""Losses on whole images: embeddings against overlap."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MIN_OVERLAP = 0.3
"""Two views with at least this overlap show the same place."""

MAX_UNRELATED_OVERLAP = 0.02
"""Two views of one scene with at most this overlap count as different places."""

_MASKED = -1e4  # a logit that takes no part; finite, so that no gradient is NaN


def shrinkage_loss(
    predicted: Tensor,
    target: Tensor,
    a: float = 10.0,
    c: float = 0.2,
    weight: Tensor | None = None,
) -> Tensor:
    """Squared error that shrinks where the error is small already.

    ``l^2 / (1 + exp(a * (c - l)))`` with ``l = |predicted - target|`` (Lu et al., Deep regression
    tracking with shrinkage loss, ECCV 2018).

    Args:
        predicted: any shape; cosine similarities here.
        target: the same shape; IoU here.
        a: how fast the loss shrinks.
        c: below this error it does.
        weight: the same shape; the loss is the weighted mean. None: all alike.

    Returns:
        A scalar; 0 when all weights are 0.
    """
    error = (predicted - target).abs()
    loss = error.square() * torch.sigmoid(a * (error - c))
    if weight is None:
        return loss.mean()
    return (loss * weight).sum() / weight.sum().clamp_min(1e-12)


def bin_weights(overlap: Tensor, num_bins: int = 10) -> Tensor:
    """Weights that give every IoU bin in use the same total.

    Args:
        overlap: any shape, in [0, 1].
        num_bins: equal bins over [0, 1].

    Returns:
        Weights of the same shape, 1 on average.
    """
    index = (overlap * num_bins).long().clamp(0, num_bins - 1)
    counts = torch.bincount(index.flatten(), minlength=num_bins)
    share = 1.0 / (counts.clamp_min(1) * (counts > 0).sum())  # (num_bins,)
    return share[index] * overlap.numel()


def pair_overlap(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """Spread the overlap within groups over all pairs of the batch.

    Args:
        overlap: (G, V, V) directed overlap within each group; groups show different places.

    Returns:
        Overlap (G * V, G * V), the mean of both directions, 0 between groups; and a mask of the
        same shape that leaves out each view with itself.
    """
    symmetric = 0.5 * (overlap + overlap.transpose(1, 2))
    full = torch.block_diag(*symmetric.unbind())  # type: ignore[no-untyped-call] # (G * V, G * V)
    return full, ~torch.eye(len(full), dtype=torch.bool, device=full.device)


def info_nce(
    embeddings: Tensor,
    overlap: Tensor,
    known: Tensor,
    temperature: float = 0.07,
    min_overlap: float = MIN_OVERLAP,
    max_unrelated_overlap: float = MAX_UNRELATED_OVERLAP,
) -> Tensor:
    """Contrastive loss with several positives per view, each weighted by its overlap.

    For view i: ``-sum_j o_ij log(exp(s_ij) / (exp(s_ij) + sum_k exp(s_ik))) / sum_j o_ij`` over
    its positives j, with k over its negatives only: positives do not push each other away.
    Pairs of an overlap in between are left out (van den Oord et al., 2018, is the case of one
    positive).

    Args:
        embeddings: (N, D) unit length.
        overlap: (N, N) symmetric, from :func:`pair_overlap`.
        known: (N, N) bool, pairs that count, from :func:`pair_overlap`.
        temperature: s is the cosine divided by it.
        min_overlap: from here on a pair is positive.
        max_unrelated_overlap: up to here it is negative.

    Returns:
        A scalar, the mean over views with a positive; 0 without any.
    """
    logits = embeddings @ embeddings.T / temperature  # (N, N)
    positive = known & (overlap >= min_overlap)
    negative = known & (overlap <= max_unrelated_overlap)
    others = torch.logsumexp(logits.masked_fill(~negative, _MASKED), dim=1, keepdim=True)  # (N, 1)
    terms = functional.softplus(others - logits)  # -log(e^s / (e^s + sum e^s_k)), (N, N)
    weight = overlap * positive
    total = weight.sum(dim=1)  # (N,)
    per_view = (terms * weight).sum(dim=1) / total.clamp_min(1e-12)
    return per_view.sum() / (total > 0).sum().clamp_min(1)


def multi_similarity_loss(
    embeddings: Tensor,
    overlap: Tensor,
    known: Tensor,
    alpha: float = 2.0,
    beta: float = 40.0,
    margin: float = 0.5,
) -> Tensor:
    """Multi-similarity loss without its mining step (Wang et al., CVPR 2019, equation 12).

    Arguments as :func:`info_nce`; ``alpha``, ``beta`` and ``margin`` are that paper's alpha,
    beta and lambda.
    """
    cosine = embeddings @ embeddings.T
    positive = known & (overlap >= MIN_OVERLAP)
    negative = known & (overlap <= MAX_UNRELATED_OVERLAP)
    pull = (-alpha * (cosine - margin)).masked_fill(~positive, _MASKED)
    push = (beta * (cosine - margin)).masked_fill(~negative, _MASKED)
    # log(1 + sum exp(x)) = softplus(logsumexp(x))
    per_view = (
        functional.softplus(torch.logsumexp(pull, dim=1)) / alpha
        + functional.softplus(torch.logsumexp(push, dim=1)) / beta
    )
    return per_view.mean()
