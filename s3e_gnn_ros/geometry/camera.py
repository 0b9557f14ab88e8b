"""The pinhole camera with the distortion models ROS's CameraInfo knows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError

# OpenCV stops after 5 iterations unless told: a third of a pixel short in a EuRoC image's corner.
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-9)

DISTORTION_MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant')
_NUM_COEFFICIENTS = {
    'plumb_bob': (4, 5),
    'rational_polynomial': (8, 12, 14),
    'equidistant': (4,),
}


@dataclass(frozen=True, slots=True)
class PinholeCamera:
    """Intrinsics in pixels of the image they belong to.

    Attributes:
        width: image width [px].
        height: image height [px].
        fx: focal length in x [px].
        fy: focal length in y [px].
        cx: principal point x [px].
        cy: principal point y [px].
        distortion: coefficients in ROS's CameraInfo order; empty when the image is rectified.
        distortion_model: one of ``DISTORTION_MODELS``.

    Raises:
        InputError: a size or focal length is not positive, a value is not finite, or the model
            has another number of coefficients.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    distortion_model: str = 'plumb_bob'

    def __post_init__(self) -> None:
        """Refuse a camera nothing can be computed with."""
        if self.width <= 0 or self.height <= 0:
            raise InputError(f'camera has image size {self.width}x{self.height}')
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not np.isfinite(values).all():
            raise InputError(f'camera has values that are not finite: {values}')
        if self.fx <= 0 or self.fy <= 0:
            raise InputError(f'camera has focal length fx={self.fx}, fy={self.fy}')
        if self.distortion_model not in DISTORTION_MODELS:
            raise InputError(
                f"camera has distortion model '{self.distortion_model}', "
                f'known are {", ".join(DISTORTION_MODELS)}'
            )
        allowed = _NUM_COEFFICIENTS[self.distortion_model]
        if self.is_distorted and len(self.distortion) not in allowed:
            known = ' or '.join(map(str, allowed))
            raise InputError(
                f'distortion model {self.distortion_model} has {len(self.distortion)} '
                f'coefficients instead of {known}'
            )

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The (3, 3) intrinsic matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def is_distorted(self) -> bool:
        """Whether any distortion coefficient differs from zero."""
        return any(self.distortion)

    def normalise(self, points_px: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map pixels (N, 2) to undistorted coordinates (N, 2) on the plane z = 1."""
        pixels = np.ascontiguousarray(points_px, dtype=np.float64).reshape(-1, 1, 2)
        if len(pixels) == 0:
            return np.zeros((0, 2))
        if not self.is_distorted:
            return np.asarray(
                (pixels[:, 0] - (self.cx, self.cy)) / (self.fx, self.fy), dtype=np.float64
            )
        coefficients = np.array(self.distortion)
        if self.distortion_model == 'equidistant':
            out = cv2.fisheye.undistortPoints(pixels, self.matrix, coefficients[:4])
        else:
            out = _undistort(pixels, self.matrix, coefficients)
        return np.asarray(out[:, 0], dtype=np.float64)

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Project camera points (N, 3) [m] to pixels (N, 2) of the image as it comes, distorted.

        Points with z <= 0 give NaN.
        """
        points = np.asarray(points, dtype=np.float64)
        z = np.where(points[:, 2] > 0, points[:, 2], np.nan)[:, None]
        plane = points[:, :2] / z
        if self.is_distorted and len(points):
            plane = self._distort(plane)
        return np.asarray(plane * (self.fx, self.fy) + (self.cx, self.cy))

    def _distort(self, plane: NDArray[np.float64]) -> NDArray[np.float64]:
        coefficients = np.array(self.distortion)
        zero = np.zeros(3)
        if self.distortion_model == 'equidistant':
            out = cv2.fisheye.distortPoints(plane[:, None], np.eye(3), coefficients[:4])
            return np.asarray(out[:, 0])
        rays = np.column_stack([plane, np.ones(len(plane))])
        return np.asarray(cv2.projectPoints(rays, zero, zero, np.eye(3), coefficients)[0][:, 0])

    def scaled(self, factor: float) -> PinholeCamera:
        """Return the intrinsics of the image resized by ``factor`` (pixel centres at integers)."""
        return PinholeCamera(
            width=max(1, round(self.width * factor)),
            height=max(1, round(self.height * factor)),
            fx=self.fx * factor,
            fy=self.fy * factor,
            cx=(self.cx + 0.5) * factor - 0.5,
            cy=(self.cy + 0.5) * factor - 0.5,
            distortion=self.distortion,
            distortion_model=self.distortion_model,
        )


def _undistort(
    pixels: NDArray[np.float64], K: NDArray[np.float64], coefficients: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Invert radial and tangential distortion of pixels (N, 1, 2), to the plane z = 1."""
    if hasattr(cv2, 'undistortPointsIter'):  # OpenCV 4; version 5 knows only the other
        identity = np.eye(3)
        out = cv2.undistortPointsIter(pixels, K, coefficients, identity, identity, _CRITERIA)
    else:
        out = cv2.undistortPoints(pixels, K, coefficients, criteria=_CRITERIA)
    return np.asarray(out).reshape(-1, 1, 2)
