"""The loss of the local stage: patches of one place should look alike, all others should not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_MASKED = -1e4  # a logit that takes no part; finite, so that no gradient is NaN


def close_patches(
    landmarks_a: Tensor,
    spacing_a: Tensor,
    landmarks_b: Tensor,
    spacing_b: Tensor,
    tolerance_px: float,
) -> Tensor:
    """Tell which patches of two views lie too close together to be called different.

    Args:
        landmarks_a: (G, n, 3) centre of each patch in the frame of its group; NaN unknown.
        spacing_a: (G, n) how much of that frame one pixel covers.
        landmarks_b: (G, m, 3) of the other view.
        spacing_b: (G, m).
        tolerance_px: distance in pixels up to which patches are close.

    Returns:
        (G, n, m) bool; True as well where the landmark of b is unknown.
    """
    distance = torch.cdist(
        landmarks_a.nan_to_num(),
        landmarks_b.nan_to_num(),
        # The product form is off by centimetres where coordinates are tens of metres.
        compute_mode='donot_use_mm_for_euclid_dist',
    )  # (G, n, m)
    spacing = torch.maximum(spacing_a[:, :, None], spacing_b[:, None, :])
    unknown = landmarks_b.isnan().any(dim=2)  # (G, m)
    return (distance <= tolerance_px * spacing) | unknown[:, None, :]


def local_correspondence_loss(
    descriptors_a: Tensor,
    descriptors_b: Tensor,
    matches: Tensor,
    close: Tensor,
    temperature: float = 0.07,
) -> Tensor:
    """Cross entropy of finding the true match of each patch of a among the patches of b.

    The candidates are all patches of the second view (hard negatives: the same image) and those
    of the second views of all other groups. Patches of the second view that lie close to the
    query patch, or whose place is unknown, are no candidates.

    Args:
        descriptors_a: (G, n, E) unit length.
        descriptors_b: (G, m, E) unit length.
        matches: (G, n) index into the patches of b of the same group, -1 without one.
        close: (G, n, m) bool, from :func:`close_patches`.
        temperature: the cosine is divided by it.

    Returns:
        A scalar, the mean over matched patches; 0 without any.
    """
    groups, num_a = matches.shape
    num_b = descriptors_b.shape[1]
    logits = descriptors_a.flatten(0, 1) @ descriptors_b.flatten(0, 1).T / temperature
    logits = logits.view(groups, num_a, groups, num_b)
    index = torch.arange(groups, device=logits.device)
    ignored = torch.zeros_like(logits, dtype=torch.bool)
    target = functional.one_hot(matches.clamp_min(0), num_b).bool()  # (G, n, m)
    ignored[index, :, index, :] = close & ~target
    logits = logits.masked_fill(ignored, _MASKED).flatten(2).flatten(0, 1)  # (G * n, G * m)
    # Positions count over the patches of b of all groups.
    wanted = (matches + num_b * index[:, None]).masked_fill(matches < 0, -1).flatten()  # (G * n,)
    loss = functional.cross_entropy(logits, wanted, ignore_index=-1, reduction='sum')
    return loss / (wanted >= 0).sum().clamp_min(1)


def match_accuracy(
    descriptors_a: Tensor, descriptors_b: Tensor, matches: Tensor, close: Tensor
) -> Tensor:
    """Share of matched patches whose nearest candidate of the same second view is right.

    Arguments as :func:`local_correspondence_loss`, and the candidates too. NaN without any match.
    """
    similarity = descriptors_a @ descriptors_b.transpose(1, 2)  # (G, n, m)
    target = functional.one_hot(matches.clamp_min(0), similarity.shape[2]).bool()
    nearest = similarity.masked_fill(close & ~target, _MASKED).argmax(dim=2)  # (G, n)
    is_asked = matches >= 0
    return ((nearest == matches) & is_asked).sum() / is_asked.sum()
