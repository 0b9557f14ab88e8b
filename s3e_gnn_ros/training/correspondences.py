"""Which patches of two views show the same thing."""

from __future__ import annotations

import torch
from torch import Tensor


def correspondences(
    landmarks_a: Tensor,
    spacing_a: Tensor,
    landmarks_b: Tensor,
    spacing_b: Tensor,
    tolerance_px: float,
    extent_a: Tensor | None = None,
    extent_b: Tensor | None = None,
    max_extent_ratio: float = 1.6,
) -> Tensor:
    """Match patches whose landmarks are mutually nearest, and near enough.

        |landmark_a - landmark_b| <= tolerance_px * max(spacing_a, spacing_b)

    Landmarks that a view only would see, were nothing in front, have no patch near them in it:
    its patches lie on what is in front.

    Args:
        landmarks_a: (..., n, 3) in the group's frame, NaN where unknown.
        spacing_a: (..., n) length of that frame which a pixel covers.
        landmarks_b: (..., m, 3).
        spacing_b: (..., m).
        tolerance_px: in pixels of the view that sees the place more coarsely.
        extent_a: (..., n) size of the patch in the group's frame, its keypoint's size times the
            spacing. Then patches of the same point at another scale do not match, as ORB finds
            one corner at several scales.
        extent_b: (..., m).
        max_extent_ratio: between the sizes of two patches that match.

    Returns:
        (..., n) int64, index of the patch of b, or -1.
    """
    cost = _cost(landmarks_a, spacing_a, landmarks_b, spacing_b)  # (..., n, m) [px]
    is_near = cost <= tolerance_px
    if extent_a is not None and extent_b is not None:
        ratio = (extent_a.log()[..., :, None] - extent_b.log()[..., None, :]).abs()
        ratio = ratio.nan_to_num(nan=torch.inf)
        is_near &= ratio <= torch.tensor(max_extent_ratio).log()
        cost = cost + ratio  # of two patches at one point, the one of the same scale
    cost = cost.masked_fill(~is_near, torch.inf)
    best_b = cost.argmin(dim=-1)  # (..., n)
    best_a = cost.argmin(dim=-2)  # (..., m)
    index = torch.arange(best_b.shape[-1], device=best_b.device)
    is_mutual = best_a.gather(-1, best_b) == index
    is_near_best = is_near.gather(-1, best_b[..., None])[..., 0]
    return best_b.masked_fill(~(is_mutual & is_near_best), -1)


def _cost(
    landmarks_a: Tensor, spacing_a: Tensor, landmarks_b: Tensor, spacing_b: Tensor
) -> Tensor:
    """Distance in pixels of the coarser view (..., n, m); infinite where unknown."""
    distance = torch.cdist(
        landmarks_a.nan_to_num(),
        landmarks_b.nan_to_num(),
        # The product form is off by centimetres where coordinates are tens of metres.
        compute_mode='donot_use_mm_for_euclid_dist',
    )
    distance = distance / torch.maximum(spacing_a[..., :, None], spacing_b[..., None, :])
    unknown_a = landmarks_a.isnan().any(dim=-1)
    unknown_b = landmarks_b.isnan().any(dim=-1)
    unknown = unknown_a[..., :, None] | unknown_b[..., None, :]
    return distance.masked_fill(unknown, torch.inf)
