"""Which points of a keyframe the encoder sees: always the same number of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.attention_map import attention_at, attention_map
from s3e_gnn_ros.encoder.completion import (
    ORB_SIZE_PX,
    complete_points,
    intensity_centroid_angles,
)
from s3e_gnn_ros.encoder.crowding import find_crowded
from s3e_gnn_ros.encoder.image_planes import as_grey, check_image
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.types import Features

METHODS = ('grid', 'response', 'random', 'attention')

_SCALES_PER_OCTAVE = 4  # ORB's pyramid has 3.8 levels per octave


@dataclass(frozen=True, eq=False)
class PatchKeypoints:
    """The n points of an image where patches are cut.

    Attributes:
        points_px: (n, 2) float32.
        sizes_px: (n,) float32, diameter of the described neighbourhood.
        angles_deg: (n,) float32, orientation, clockwise in the image.
        keypoint_index: (n,) intp, position among the features; -1 for a completed point.
    """

    points_px: NDArray[np.float32]
    sizes_px: NDArray[np.float32]
    angles_deg: NDArray[np.float32]
    keypoint_index: NDArray[np.intp]

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.points_px)


def select_keypoints(
    features: Features,
    image: NDArray[np.uint8],
    num: int,
    method: str = 'grid',
    rng_seed: int = 0,
    depth_m: NDArray[np.float32] | None = None,
    margin_px: float = 0.0,
) -> PatchKeypoints:
    """Choose exactly ``num`` points: keypoints first, completed ones (Fig. 7) where they lack.

    Keypoints outside the image, or without a finite position, size and angle, are left out;
    those nearer to the border than the margin as well, unless there are no others. The same
    input and seed give the same points.

    Args:
        features: keypoints of the image, any number.
        image: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8.
        num: n.
        method: 'grid': the strongest of each cell, in turns, so that they spread over the image;
            'response': the strongest of each scale, in turns, not too close to one another;
            'random' (the paper): any; 'attention': drawn with the weights of
            :func:`attention_map`.
        rng_seed: seed of all that is left to chance.
        depth_m: (H, W), used by 'attention' where it is known.
        margin_px: distance to the border that upright patches need; P / 2 in the paper's form.

    Raises:
        ConfigError: unknown method, or less than one point asked for.
        InputError: an image of another shape or type, or arrays that are not of one length.
    """
    if method not in METHODS:
        raise ConfigError(f'selection of keypoints is {method!r} instead of one of {METHODS}')
    if num < 1:
        raise ConfigError(f'number of patches is {num} instead of at least 1')
    size = check_image(image)
    rng = np.random.default_rng(rng_seed)
    usable = _usable(features, size, margin_px)  # (N,) positions among the features
    if len(usable) > num:
        order = _rank(method, features, usable, image, depth_m, num, rng)
        usable = usable[order[:num]]
    return _complete(features, usable, image, num, rng, margin_px)


def _usable(features: Features, size: tuple[int, int], margin_px: float) -> NDArray[np.intp]:
    """Return which keypoints lie inside the image, and inside the margin where any does."""
    width, height = size
    arrays = features.points_px, features.sizes_px, features.angles_deg, features.responses
    shapes = [each.shape for each in arrays]
    if shapes != [(len(features), 2)] + [(len(features),)] * 3:
        raise InputError(f'points, sizes, angles and responses of keypoints are {shapes}')
    x, y = features.points_px.T
    # NaN compares as outside.
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    inside &= (features.sizes_px > 0) & np.isfinite(features.sizes_px + features.angles_deg)
    kept = inside & (x >= margin_px) & (x <= width - margin_px)
    kept &= (y >= margin_px) & (y <= height - margin_px)
    return np.flatnonzero(kept if kept.any() else inside)


def _rank(
    method: str,
    features: Features,
    usable: NDArray[np.intp],
    image: NDArray[np.uint8],
    depth_m: NDArray[np.float32] | None,
    num: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Return the usable keypoints in order of preference."""
    if method == 'random':
        return np.asarray(rng.permutation(len(usable)), dtype=np.intp)
    points_px = features.points_px[usable]
    if method == 'attention':
        return _draw_by_weight(
            attention_at(attention_map(as_grey(image), depth_m), points_px), rng
        )
    responses = features.responses[usable]
    if method == 'grid':
        cells = _cells(points_px, check_image(image), num)
        return _in_turns(cells, _places(np.lexsort((cells, -responses))))
    return _strongest_of_each_scale(points_px, features.sizes_px[usable], responses)


def _strongest_of_each_scale(
    points_px: NDArray[np.float32], sizes_px: NDArray[np.float32], responses: NDArray[np.float32]
) -> NDArray[np.intp]:
    """Order points so that each scale gives its strongest, then each its second, and so on.

    Harris responses of different scales cannot be compared: taken together the finest scale
    fills all places, and it is the first to go in a blurred or dark image. Points that a
    stronger one of the same scale crowds out come last.
    """
    scales = np.round(np.log2(np.maximum(sizes_px, 1.0)) * _SCALES_PER_OCTAVE).astype(np.intp)
    is_crowded = find_crowded(points_px, sizes_px, responses, scales)
    places = _places(np.argsort(responses, kind='stable')[::-1])
    # A crowded point waits until all others had their turn.
    order = _in_turns(scales, places + len(places) * is_crowded)
    return np.concatenate([order[~is_crowded[order]], order[is_crowded[order]]])


def _places(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return at which place of an order (N,) each point stands."""
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def _cells(points_px: NDArray[np.float32], size: tuple[int, int], num: int) -> NDArray[np.intp]:
    """Number the cell (N,) of each point in a grid of about ``num`` square cells."""
    width, height = size
    side = math.sqrt(width * height / num)
    columns, rows = (points_px / side).astype(np.intp).T
    return np.asarray(rows * math.ceil(width / side) + columns, dtype=np.intp)


def _in_turns(cells: NDArray[np.intp], places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Order points so that each cell gives its strongest, then each its second, and so on.

    Args:
        cells: (N,) number of each point's cell.
        places: (N,) all different, the strongest point's lowest.
    """
    # Two keys as one number: several times faster than a sort by two.
    span = int(places.max(initial=0)) + 1
    by_cell = np.argsort(cells * span + places)
    sorted_cells = cells[by_cell]
    turn = np.arange(len(cells)) - np.searchsorted(sorted_cells, sorted_cells)
    return by_cell[np.argsort(turn * span + places[by_cell])]


def _draw_by_weight(weights: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw without replacement, likelier with more weight (Efraimidis and Spirakis, 2006)."""
    waiting = rng.exponential(size=len(weights))
    with np.errstate(divide='ignore'):
        return np.argsort(waiting / weights, kind='stable')


def _complete(
    features: Features,
    chosen: NDArray[np.intp],
    image: NDArray[np.uint8],
    num: int,
    rng: np.random.Generator,
    margin_px: float,
) -> PatchKeypoints:
    points_px = np.asarray(features.points_px[chosen], dtype=np.float32)
    sizes_px = np.asarray(features.sizes_px[chosen], dtype=np.float32)
    angles_deg = np.asarray(features.angles_deg[chosen], dtype=np.float32)
    missing = num - len(chosen)
    if missing > 0:
        added = complete_points(points_px, check_image(image), missing, rng, margin_px)
        size_px = np.median(sizes_px) if len(chosen) else ORB_SIZE_PX
        angles_deg = np.append(angles_deg, intensity_centroid_angles(as_grey(image), added))
        points_px = np.concatenate([points_px, added])
        sizes_px = np.append(sizes_px, np.full(missing, size_px, dtype=np.float32))
    index = np.append(chosen, np.full(max(missing, 0), -1, dtype=np.intp))
    return PatchKeypoints(points_px, sizes_px, angles_deg, index)
