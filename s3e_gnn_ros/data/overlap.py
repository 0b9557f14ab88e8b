"""The true overlap of views: reprojection IoU with a z-buffer (paper Eq. 1 and Fig. 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from s3e_gnn_ros.data.overlap_culling import frustum_candidates
from s3e_gnn_ros.data.overlap_projection import ViewStack
from s3e_gnn_ros.data.overlap_views import DepthView
from s3e_gnn_ros.errors import ConfigError

TOLERANCE_M = 0.05
"""Depths that differ by no more are the same surface; up to 1 m, growing with range beyond."""

# Pixels at a time: what stays in a core's cache, and what fills a GPU.
_PIXELS_AT_ONCE = {'cpu': 1 << 17, 'other': 1 << 24}

Progress = Callable[[int, int], None]
"""Called with the number of pairs done, and of all that are left after culling."""


@dataclass(frozen=True, eq=False)
class OverlapCounts:
    """Pixels of each source (row) in each target (column).

    Attributes:
        num_agreeing: (N, N) int32, pixels of the source that the target sees, too.
        num_known: (N, N) int32, pixels of the source of which that is known: those with depth,
            less those that land where the target has none. For a pair that was culled, all with
            depth: its overlap is 0 either way.
    """

    num_agreeing: NDArray[np.int32]
    num_known: NDArray[np.int32]

    @property
    def directed(self) -> NDArray[np.float32]:
        """Overlap (N, N): share of the source's known pixels that agree; 0 where none is known."""
        return (self.num_agreeing / np.maximum(self.num_known, 1)).astype(np.float32)

    @property
    def symmetric(self) -> NDArray[np.float32]:
        """Overlap (N, N), see :func:`symmetric_overlap`."""
        return symmetric_overlap(self.directed, self.num_known)


def overlap(source: DepthView, target: DepthView, tolerance_m: float = TOLERANCE_M) -> float:
    """Return the directed overlap of two views, in [0, 1].

    Each pixel of the source with depth is lifted, moved by the relative pose, and projected into
    the target. It counts when it lands inside the image, in front of the camera, on a pixel whose
    depth d agrees with its own z: ``|z - d| <= tolerance_m * max(1 m, z)``. A point that something
    nearer hides does not agree. The overlap is the share of the pixels that count.

    Depth that is unknown leaves both counts on either side: a pixel without depth in the source
    is nowhere, and a pixel that lands on one without depth in the target may or may not be seen.
    The latter leaves the denominator, too. Pixels that land outside or behind stay in it.

    Differs from the paper: it says nothing of unknown depth, nor of the tolerance.

    Raises:
        ConfigError: the tolerance is not in [0, 1).
    """
    counts = overlap_counts([source, target], tolerance_m)
    return float(counts.directed[0, 1])


def overlap_matrix(
    views: Sequence[DepthView],
    tolerance_m: float = TOLERANCE_M,
    device: str = 'cpu',
    *,
    with_culling: bool = True,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the directed overlap (N, N) of all pairs, row source, column target.

    Arguments and errors as :func:`overlap_counts`. A view has overlap 1 with itself, 0 when it
    sees nothing.
    """
    return overlap_counts(
        views, tolerance_m, device, with_culling=with_culling, progress=progress
    ).directed


def overlap_counts(
    views: Sequence[DepthView],
    tolerance_m: float = TOLERANCE_M,
    device: str = 'cpu',
    *,
    with_culling: bool = True,
    progress: Progress | None = None,
) -> OverlapCounts:
    """Count, for all pairs, the pixels that overlap is a share of.

    Args:
        views: N views of one world frame, of any cameras.
        tolerance_m: see :func:`overlap`.
        device: of torch, such as ``cpu`` or ``cuda:0``; the result is the same.
        with_culling: leave out pairs whose frusta do not meet; the overlap is the same.
        progress: told about each batch.

    Raises:
        ConfigError: the tolerance is not in [0, 1), or there is no such device.
    """
    if not 0 <= tolerance_m < 1:
        raise ConfigError(f'tolerance_m is {tolerance_m} instead of at least 0 and below 1')
    N = len(views)
    stack = ViewStack(views, _device(device))
    agreeing = np.zeros((N, N), dtype=np.int32)
    known = np.tile(stack.num_valid[:, None], (1, N))
    pairs = frustum_candidates(views, tolerance_m) if with_culling else _all_pairs(N)
    size = max(1, _PIXELS_AT_ONCE.get(device, _PIXELS_AT_ONCE['other']) // stack.num_pixels)
    for start in range(0, len(pairs), size):
        source, target = pairs[start : start + size].T
        num_agreeing, num_unknown = stack.compare(source, target, tolerance_m)
        agreeing[source, target] = num_agreeing
        known[source, target] -= num_unknown
        if progress is not None:
            progress(start + len(source), len(pairs))
    return OverlapCounts(agreeing, known)


def symmetric_overlap(
    directed: NDArray[np.floating], num_valid: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Intersection over union of two views: ``inter / (n_i + n_j - inter)``.

    The intersection is the mean of what either view says of it, which differ a little.

    Args:
        directed: (N, N) directed overlap.
        num_valid: what it is a share of: (N,) pixels of the source, or (N, N) where that depends
            on the target, too.

    Returns:
        (N, N), symmetric, in [0, 1]; 0 where both are 0.
    """
    n = num_valid[:, None] if num_valid.ndim == 1 else num_valid
    n = np.broadcast_to(n, directed.shape).astype(np.float64)
    inter = directed * n
    inter = (inter + inter.T) / 2
    union = n + n.T - inter
    return np.divide(inter, union, out=np.zeros_like(union), where=union > 0).astype(np.float32)


def _all_pairs(num_views: int) -> NDArray[np.intp]:
    return np.argwhere(np.ones((num_views, num_views), dtype=bool))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()  # some devices only appear to be there
    except (RuntimeError, AssertionError, NotImplementedError) as err:
        reason = str(err).strip().splitlines()[0]
        raise ConfigError(f"no device '{name}' to compute on: {reason}") from err
    return device
