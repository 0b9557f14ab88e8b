"""A stated noise model that turns a true trajectory into odometry that drifts."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory


@dataclass(frozen=True)
class DriftModel:
    """How odometry drifts, per step of length d [m] that turns by the angle a [rad].

    With R and t the true relative rotation and translation of a step, odometry measures

        t' = (1 + scale) t + n_t          n_t ~ N(0, translation^2 d I)
        R' = R Exp(n_r + (b + n_y) y)     n_r ~ N(0, (rotation_deg^2 d + turn_deg^2 a) I)
                                          n_y ~ N(0, yaw_deg^2 d),  b = yaw_bias_deg d

    and its pose is the product of all steps so far, starting at the true first pose. y is the
    vertical axis of an upright camera, the y axis of its optical frame. The variances grow with
    distance and angle, so the drift does not depend on the rate of the poses.

    Attributes:
        translation: random walk of position [m per sqrt(m)].
        scale: constant error of the distance travelled, as a share of it.
        rotation_deg: random walk of orientation about each axis [deg per sqrt(m)].
        turn_deg: random walk of orientation about each axis [deg per sqrt(rad)].
        yaw_deg: further random walk of heading [deg per sqrt(m)].
        yaw_bias_deg: constant error of heading [deg per m].
        seed: of the random numbers; the same seed gives the same drift.

    Raises:
        ConfigError: a value is not finite, or negative where it is a deviation.
    """

    translation: float = 0.0
    scale: float = 0.0
    rotation_deg: float = 0.0
    turn_deg: float = 0.0
    yaw_deg: float = 0.0
    yaw_bias_deg: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        for name, value in dataclasses.asdict(self).items():
            if not math.isfinite(value):
                raise ConfigError(f'drift {name} is {value}')
        for name in ('translation', 'rotation_deg', 'turn_deg', 'yaw_deg', 'seed'):
            if getattr(self, name) < 0:
                raise ConfigError(f'drift {name} is {getattr(self, name)} instead of at least 0')
        if self.scale <= -1:
            raise ConfigError(f'drift scale is {self.scale} instead of more than -1')

    def __str__(self) -> str:
        """Return the form that :func:`parse_drift` reads."""
        return ','.join(f'{name}={value}' for name, value in dataclasses.asdict(self).items())


def parse_drift(text: str) -> DriftModel:
    """Read ``name=value,...`` such as ``translation=0.02,rotation_deg=0.5,seed=1``.

    Raises:
        ConfigError: an unknown or repeated name, a value that is no number or out of range.
    """
    known = [item.name for item in dataclasses.fields(DriftModel)]
    values: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(','))):
        name, equals, value = (piece.strip() for piece in part.partition('='))
        if not equals:
            raise ConfigError(f"drift '{part}' lacks the form name=value")
        if name not in known:
            raise ConfigError(f"unknown drift '{name}'; known: {', '.join(known)}")
        if name in values:
            raise ConfigError(f"drift '{name}' is given twice")
        try:
            values[name] = int(value) if name == 'seed' else float(value)
        except ValueError as err:
            kind = 'a whole number' if name == 'seed' else 'a number'
            raise ConfigError(f"drift {name} is '{value}' instead of {kind}") from err
    return DriftModel(**values)  # type: ignore[arg-type]  # the seed is an int


def drift(ground_truth: Trajectory, model: DriftModel) -> Trajectory:
    """Return the odometry (N poses at the same stamps) that the model makes of the truth."""
    if len(ground_truth) < 2:
        return ground_truth
    true = ground_truth.poses
    steps = se3.inverse(true[:-1]) @ true[1:]  # (N-1, 4, 4)
    steps = _disturb(steps, model)
    poses = _running_product(np.concatenate([true[:1], steps]))
    # Thousands of products leave rotations slightly off; the exponential needs them exact.
    poses[:, :3, :3] = Rotation.from_matrix(poses[:, :3, :3]).as_matrix()
    return Trajectory(ground_truth.stamps_ns, poses)


def _disturb(steps: NDArray[np.float64], model: DriftModel) -> NDArray[np.float64]:
    rng = np.random.default_rng(model.seed)
    true_rotations = Rotation.from_matrix(steps[:, :3, :3])
    distance_m = np.linalg.norm(steps[:, :3, 3], axis=1)[:, None]  # (N-1, 1)
    angle_rad = true_rotations.magnitude()[:, None]
    noise_t, noise_r = rng.standard_normal((2, len(steps), 3))
    noise_y = rng.standard_normal((len(steps), 1))
    sigma_deg = np.sqrt(model.rotation_deg**2 * distance_m + model.turn_deg**2 * angle_rad)
    rotvec_deg = sigma_deg * noise_r
    rotvec_deg[:, 1:2] += model.yaw_bias_deg * distance_m
    rotvec_deg[:, 1:2] += model.yaw_deg * np.sqrt(distance_m) * noise_y
    out = np.array(steps)
    noise_m = model.translation * np.sqrt(distance_m) * noise_t
    out[:, :3, 3] = (1 + model.scale) * steps[:, :3, 3] + noise_m
    disturbance = Rotation.from_rotvec(np.radians(rotvec_deg))
    out[:, :3, :3] = (true_rotations * disturbance).as_matrix()
    return out


def _running_product(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply up (N, 4, 4): out[i] = T[0] @ ... @ T[i], in log2(N) vectorised passes."""
    out = np.array(T)
    reach = 1
    while reach < len(out):
        out[reach:] = out[:-reach] @ out[reach:]
        reach *= 2
    return out
