"""Cameras that look at a photograph as if it were a picture on a wall."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.training.photometric import Image, Rng

Homography = NDArray[np.float64]
Size = tuple[int, int]
"""Width and height [px]."""

_MAX_ATTEMPTS = 40


@dataclass(frozen=True)
class CameraRanges:
    """Where virtual cameras stand.

    Attributes:
        spacing: photograph pixels per view pixel in the middle; below about 0.65 views blur.
        tilt_deg: most angle between view and photograph, about each axis.
        roll_deg: most roll.
        turned: probability of a further roll of 90, 180 or 270 degrees.
        focal: focal length in view widths.
    """

    spacing: tuple[float, float] = (0.65, 1.6)
    tilt_deg: float = 35.0
    roll_deg: float = 30.0
    turned: float = 0.12
    focal: tuple[float, float] = (0.7, 1.4)


def camera_homography(
    size: Size,
    centre_px: NDArray[np.float64],
    spacing: float,
    angles_deg: tuple[float, float, float],
    focal_px: float,
) -> Homography:
    """Return H_photo_view (3, 3), which maps view pixels to photograph pixels.

    The photograph is the plane z = 0, R = Rz(roll) Ry(yaw) Rx(pitch), and the camera sees
    ``centre_px`` in its middle:  H_view_photo = K [r1 r2 (0, 0, focal * spacing)] T(-centre).

    Args:
        size: of the view.
        centre_px: (2,) of the photograph, in the middle of the view.
        spacing: photograph pixels per view pixel there.
        angles_deg: roll, yaw, pitch.
        focal_px: of the virtual camera.
    """
    R = Rotation.from_euler('ZYX', angles_deg, degrees=True).as_matrix()
    plane = np.column_stack([R[:, 0], R[:, 1], (0.0, 0.0, focal_px * spacing)])
    K = np.array([[focal_px, 0, (size[0] - 1) / 2], [0, focal_px, (size[1] - 1) / 2], [0, 0, 1]])
    shift = np.array([[1, 0, -centre_px[0]], [0, 1, -centre_px[1]], [0, 0, 1]])
    return np.asarray(np.linalg.inv(K @ plane @ shift))


def draw_camera(photo_size: Size, size: Size, ranges: CameraRanges, rng: Rng) -> Homography:
    """Draw H_photo_view of a view that lies wholly inside the photograph.

    Draws become gentler with each that falls outside; the last resort looks straight on.
    """
    room = min(photo_size[0] / size[0], photo_size[1] / size[1])
    low = min(ranges.spacing[0], 0.95 * room)
    high = min(ranges.spacing[1], room)
    for attempt in range(_MAX_ATTEMPTS):
        ease = 1 - attempt / _MAX_ATTEMPTS
        # Mostly near: views that see half of a photograph differ more than those that see all.
        spacing = low + (high - low) * ease * rng.random() ** 1.7
        tilts = ease * rng.uniform(-ranges.tilt_deg, ranges.tilt_deg, 2)
        roll = ease * rng.uniform(-ranges.roll_deg, ranges.roll_deg)
        if rng.random() < ranges.turned:
            roll += 90 * rng.integers(1, 4)
        focal_px = rng.uniform(*ranges.focal) * size[0]
        angles = (roll, tilts[0], tilts[1])
        margin = 0.35 * spacing * np.array(size)
        centre = rng.uniform(np.minimum(margin, photo_size), photo_size - margin)
        H = camera_homography(size, centre, spacing, angles, focal_px)
        if is_inside(H, size, photo_size):
            return H
    centre = (np.array(photo_size) - 1) / 2
    return camera_homography(size, centre, 0.95 * low, (0.0, 0.0, 0.0), float(size[0]))


def is_inside(H_photo_view: Homography, size: Size, photo_size: Size) -> bool:
    """Whether every pixel of a view has its bilinear neighbours in the photograph."""
    corners = np.column_stack([corners_px(size), np.ones(4)]) @ H_photo_view.T
    if (corners[:, 2] <= 0).any() == (corners[:, 2] > 0).any():
        return False  # the horizon runs through the view
    points = corners[:, :2] / corners[:, 2:]
    return bool((points >= 0).all() and (points <= np.array(photo_size) - 1).all())


def corners_px(size: Size, pad: float = 0.0) -> NDArray[np.float64]:
    """Centres of the corner pixels (4, 2) in turn; ``pad`` 0.5 gives the image's outline."""
    right, bottom = size[0] - 1 + pad, size[1] - 1 + pad
    return np.array([(-pad, -pad), (right, -pad), (right, bottom), (-pad, bottom)])


def transform(H: Homography, points_px: NDArray[np.floating]) -> NDArray[np.float64]:
    """Apply a homography to points (N, 2)."""
    mapped = np.column_stack([points_px, np.ones(len(points_px))]) @ H.T
    return np.asarray(mapped[:, :2] / mapped[:, 2:])


def spacing_at(H: Homography, points_px: NDArray[np.floating]) -> NDArray[np.float64]:
    """Square root of the area (N,) that a pixel at each point (N, 2) covers after H.

    The Jacobian of a homography has the determinant det(H) / w^3.
    """
    w = np.column_stack([points_px, np.ones(len(points_px))]) @ H[2]
    return np.asarray(np.sqrt(np.abs(np.linalg.det(H) / w**3)))


def take_view(photo: Image, H_photo_view: Homography, size: Size) -> Image:
    """Render what a virtual camera sees, without aliasing where it sees the photograph small."""
    middle = np.array([[(size[0] - 1) / 2, (size[1] - 1) / 2]])
    shrink = float(spacing_at(H_photo_view, middle)[0])
    if shrink > 1.1:
        photo = np.asarray(cv2.GaussianBlur(photo, (0, 0), 0.5 * np.sqrt(shrink**2 - 1)), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpPerspective(photo, H_photo_view, size, flags=flags)
    return np.asarray(view, np.uint8)


def overlap_matrix(homographies: list[Homography], size: Size) -> NDArray[np.float32]:
    """Directed overlap (V, V): the share of view i's area that view j sees as well.

    Exact: the part of the photograph that both see is cut out, and its area measured in view i
    (METHOD 1.4 counts pixels, which tends to the same). On one plane nothing hides anything.
    """
    outline = corners_px(size, pad=0.5)
    seen = [transform(H, outline).astype(np.float32) for H in homographies]
    overlap = np.eye(len(homographies), dtype=np.float32)
    for i, H in enumerate(homographies):
        for j in range(len(homographies)):
            if i != j:
                shared = cv2.intersectConvexConvex(seen[i], seen[j])[1]
                overlap[i, j] = _area(np.asarray(np.linalg.inv(H), np.float64), shared) / (
                    size[0] * size[1]
                )
    return np.minimum(overlap, np.float32(1))


def _area(H: Homography, polygon: NDArray[np.floating] | None) -> float:
    """Area of a convex polygon (N, 1, 2) after a homography; 0 of none."""
    if polygon is None or len(polygon) < 3:
        return 0.0
    return float(cv2.contourArea(transform(H, polygon[:, 0]).astype(np.float32)))
