"""How one lap's images come out: light, exposure, tint, noise and motion blur."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.simulation.noise import Rng

_MAX_STEPS = 32


@dataclass(frozen=True)
class Appearance:
    """A camera without automatic exposure, in a building with its lights turned down.

        L  = exposure * (1 - darkness) * white_balance * vignette * blur(I)
        I' = gain * (L + n),   n ~ N(0, read^2 + shot * L)

    Attributes:
        exposure: factor on the light that falls on the sensor.
        gain: factor on the signal and its noise.
        white_balance: BGR factors.
        darkness: share of the light that is missing, 0 to less than 1.
        read: deviation of noise in the dark [grey levels].
        shot: growth of its variance with brightness [grey levels].
        vignetting: loss of light at the corners, as a share.
        shutter_s: time the shutter is open; what moves in the image meanwhile is blurred.
        shake_dps: deviation of the shaking, per axis, that adds to the blur but not to the pose.

    Raises:
        InputError: a value is out of range.
    """

    exposure: float = 1.0
    gain: float = 1.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    darkness: float = 0.0
    read: float = 1.0
    shot: float = 0.03
    vignetting: float = 0.12
    shutter_s: float = 0.006
    shake_dps: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ('exposure', 'gain'):
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise InputError(f'{name} is {value} instead of more than 0')
        for name in ('read', 'shot', 'shutter_s', 'shake_dps'):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise InputError(f'{name} is {value} instead of at least 0')
        if not 0 <= self.darkness < 1:
            raise InputError(f'darkness is {self.darkness} instead of 0 to less than 1')
        if not 0 <= self.vignetting <= 1:
            raise InputError(f'vignetting is {self.vignetting} instead of 0 to 1')
        if not all(0 < factor < np.inf for factor in self.white_balance):
            raise InputError(f'white_balance is {self.white_balance} instead of more than 0')

    def apply(
        self,
        image: NDArray[np.uint8],
        depth_m: NDArray[np.float32],
        camera: PinholeCamera,
        twist: NDArray[np.float64],
        rng: Rng,
    ) -> NDArray[np.uint8]:
        """Return what the sensor records of the view (H, W, 3).

        Args:
            image: perfect view, BGR.
            depth_m: its true depth (H, W), 0 for none.
            camera: its intrinsics; distortion does not bend the blur.
            twist: (6,) angular [rad/s] and linear [m/s] velocity in the optical frame.
            rng: source of noise and shaking.
        """
        shaken = twist + np.concatenate(
            [rng.normal(0, np.radians(self.shake_dps), 3), np.zeros(3)]
        )
        light = motion_blur(image, depth_m, camera, shaken * self.shutter_s).astype(np.float32)
        factor = np.array(self.white_balance) * self.exposure * (1 - self.darkness)
        light *= factor.astype(np.float32) * self._vignette(camera)[..., None]
        noise = rng.standard_normal(light.shape, dtype=np.float32)
        noise *= np.sqrt(np.float32(self.read**2) + np.float32(self.shot) * light)
        signal = (light + noise) * np.float32(self.gain)
        return np.asarray(np.clip(signal + np.float32(0.5), 0, 255), np.uint8)

    def _vignette(self, camera: PinholeCamera) -> NDArray[np.float32]:
        x = (np.arange(camera.width) - camera.cx) / (camera.width / 2)
        y = (np.arange(camera.height) - camera.cy) / (camera.height / 2)
        return np.asarray(1 - self.vignetting * (x**2 + y[:, None] ** 2) / 2, np.float32)


def random_appearance(
    rng: Rng, max_darkness: float = 0.0, max_blur_s: float = 0.006
) -> Appearance:
    """Draw exposure, gain, tint, noise, darkness and shutter time at random."""
    darkness = max_darkness * float(rng.uniform())
    tint = rng.uniform(0.85, 1.15, 3)
    return Appearance(
        exposure=float(rng.uniform(0.6, 1.3)),
        gain=float(np.exp(rng.uniform(-0.2, 0.2)) * (1 - darkness) ** -rng.uniform(0, 0.8)),
        white_balance=(float(tint[0]), float(tint[1]), float(tint[2])),
        darkness=darkness,
        read=float(rng.uniform(0.5, 2.0)),
        shot=float(rng.uniform(0.01, 0.08)),
        shutter_s=max_blur_s * float(rng.uniform()),
        shake_dps=float(rng.uniform(0, 30)),
    )


def motion_blur(
    image: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    camera: PinholeCamera,
    move: NDArray[np.float64],
) -> NDArray[np.uint8]:
    """Average every pixel along the way the image moves there while the shutter is open.

    Depth gives each pixel its own way. At the edge of a near thing the blur ends, because the
    background behind it is not known; rendering many instants would cost as many frames.

    Args:
        image: (H, W, 3) uint8.
        depth_m: (H, W), 0 for none: taken as far away.
        camera: intrinsics.
        move: (6,) turn [rad] and shift [m] of the camera in its own frame, rotation first.
    """
    flow = _image_flow(depth_m, camera, move)
    length = float(np.hypot(flow[..., 0], flow[..., 1]).max())
    if length < 0.5:
        return image
    steps = min(_MAX_STEPS, int(np.ceil(length)) + 1)
    x, y = np.meshgrid(
        np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)
    )
    total = np.zeros(image.shape, np.float32)
    for share in np.linspace(-0.5, 0.5, steps, dtype=np.float32):
        at_x, at_y = x + share * flow[..., 0], y + share * flow[..., 1]
        moved = cv2.remap(image, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        total += np.asarray(moved, np.float32)
    return np.asarray(total / steps + 0.5, np.uint8)


def _image_flow(
    depth_m: NDArray[np.float32], camera: PinholeCamera, move: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Motion (H, W, 2) [px] of the image of a still scene under a small move of the camera."""
    wx, wy, wz, vx, vy, vz = (np.float32(value) for value in move)
    x = ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32)
    y = ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32)[:, None]
    inverse = np.divide(1, depth_m, out=np.zeros_like(depth_m), where=depth_m > 0)
    approach = vz * inverse + wx * y - wy * x
    flow_x = np.float32(camera.fx) * (-vx * inverse - wy + wz * y + x * approach)
    flow_y = np.float32(camera.fy) * (-vy * inverse - wz * x + wx + y * approach)
    return np.stack([flow_x, flow_y], axis=-1)
