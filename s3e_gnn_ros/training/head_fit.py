"""The start of the pooling head: centres by k-means, projection by PCA whitening. No gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from s3e_gnn_ros.errors import ConfigError

_MAX_DESCRIPTORS = 50_000
_MAX_ITERATIONS = 30


@torch.no_grad()
def fit_head(network: Any, batches: Iterable[Any], device: torch.device, seed: int) -> int:
    """Set reduction, centres and whitening of an improved encoder from training images.

    Args:
        network: an ``ImprovedEncoder``.
        batches: of views; each view is used once.
        device: where the network is.
        seed: of the k-means.

    Returns:
        The number of images.

    Raises:
        ConfigError: fewer images than dimensions of the embedding.
    """
    descriptors = _describe_all(network, batches, device, 'head')
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(descriptors.shape[0] * descriptors.shape[1], generator=generator)
    chosen = descriptors.flatten(0, 1)[order[:_MAX_DESCRIPTORS].to(device)]
    network.head.set_reduction(chosen)
    reduced = network.head.reduce(chosen)
    network.head.set_centres(k_means(reduced, len(network.head.centres), generator))
    _whiten(network, descriptors)
    return len(descriptors)


@torch.no_grad()
def fit_whitening(network: Any, batches: Iterable[Any], device: torch.device) -> int:
    """Set the whitening alone: what is pooled has changed since :func:`fit_head`.

    Arguments, returns and errors as there.
    """
    descriptors = _describe_all(network, batches, device, 'whitening')
    _whiten(network, descriptors)
    return len(descriptors)


def k_means(points: Tensor, num_centres: int, generator: torch.Generator) -> Tensor:
    """Lloyd's algorithm from random points; a centre that loses all points is drawn anew.

    Args:
        points: (N, E).
        num_centres: K.
        generator: on the CPU.

    Returns:
        (K, E) centres.
    """
    start = torch.randperm(len(points), generator=generator)[:num_centres]
    centres = points[start.to(points.device)]
    assigned = torch.full((len(points),), -1, device=points.device)
    for _ in range(_MAX_ITERATIONS):
        nearest = torch.cdist(points, centres).argmin(dim=1)  # (N,)
        if torch.equal(nearest, assigned):
            break
        assigned = nearest
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        counts = torch.bincount(nearest, minlength=num_centres)
        centres = sums / counts.clamp_min(1)[:, None]
        empty = (counts == 0).nonzero().flatten()
        drawn = torch.randperm(len(points), generator=generator)[: len(empty)]
        centres[empty] = points[drawn.to(points.device)]
    return centres


def _whiten(network: Any, descriptors: Tensor) -> None:
    vlads = torch.cat([network.head.aggregate(part) for part in torch.split(descriptors, 64)])
    network.head.set_whitening(vlads)


def _describe_all(
    network: Any, batches: Iterable[Any], device: torch.device, stage: str
) -> Tensor:
    """Return what the head pools (N, n, E), of enough images for the whitening."""
    network.eval()
    descriptors = torch.cat([_describe(network, batch.to(device)) for batch in batches])
    dim = network.head.projection.out_features
    if len(descriptors) <= dim:
        raise ConfigError(
            f"stage '{stage}' has {len(descriptors)} images for whitening to {dim} dimensions: "
            'raise its steps'
        )
    return descriptors


def _describe(network: Any, batch: Any) -> Tensor:
    """Return what the head pools (G * V, n, E)."""
    pixels, points_px = batch.pixels.flatten(0, 1), batch.points_px.flatten(0, 1)
    exchanged: Tensor = network.exchange(network.describe(pixels), points_px)
    return exchanged
