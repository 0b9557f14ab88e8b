"""Views with known truth, in groups: what an encoder is trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNBOUNDED = np.array([[-np.inf] * 3, [np.inf] * 3], np.float32)
"""Bounds of a group of which nobody knows how far it sees."""


@dataclass(frozen=True, eq=False)
class View:
    """One image as an encoder sees it, and where its n patches lie.

    The group's frame is the world [m] for rendered views, and the photograph [px] with z = 0
    for views of a photograph.

    Attributes:
        pixels: (n, C, S, S) uint8 patches.
        points_px: (n, 2) float32, x and y of their centres.
        sizes_px: (n,) float32, diameter of the keypoints.
        angles_deg: (n,) float32, their orientation.
        is_detected: (n,) bool; False for points of the low-texture completion.
        landmarks: (n, 3) float32 in the group's frame; NaN where unknown.
        spacing: (n,) float32, how much of that frame a pixel covers there; NaN where unknown.
        image_size: (2,) int32, width and height.
    """

    pixels: NDArray[np.uint8]
    points_px: NDArray[np.float32]
    sizes_px: NDArray[np.float32]
    angles_deg: NDArray[np.float32]
    is_detected: NDArray[np.bool_]
    landmarks: NDArray[np.float32]
    spacing: NDArray[np.float32]
    image_size: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ViewGroup:
    """V views of one place.

    Attributes:
        views: V of them, with equally many patches.
        overlap: (V, V) float32, directed: the share of view i's pixels that view j sees as well.
        scene: what is split into training and validation as a whole. Groups of different scenes
            never overlap.
        bounds: (2, 3) float32, least and largest corner of a box in the scene around all that
            the views see; groups of one scene whose boxes are apart do not overlap either.
        source: where it came from, for people.
    """

    views: tuple[View, ...]
    overlap: NDArray[np.float32]
    scene: str
    bounds: NDArray[np.float32]
    source: str


def may_overlap(group_a: ViewGroup, group_b: ViewGroup) -> bool:
    """Whether two groups could show the same place, so that they are no negatives."""
    return group_a.scene == group_b.scene and boxes_meet(group_a.bounds, group_b.bounds)


def boxes_meet(box_a: NDArray[np.float32], box_b: NDArray[np.float32]) -> bool:
    """Whether two boxes (2, 3) have a point in common."""
    return bool((box_a[0] <= box_b[1]).all() and (box_b[0] <= box_a[1]).all())
