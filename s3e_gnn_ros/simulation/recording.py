"""A recording that is rendered while it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.drift import DriftModel, drift
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.simulation.building import OVERLAP, TOUR, make_building
from s3e_gnn_ros.simulation.frame_pool import FrameJob, FrameMaker, render_frames
from s3e_gnn_ros.simulation.free_space import FreeSpace, clearance_m
from s3e_gnn_ros.simulation.imu import ImuNoise, ImuSamples, simulate_imu
from s3e_gnn_ros.simulation.laps import LapOptions, LapPlan, plan_laps
from s3e_gnn_ros.simulation.motion import Motion, MotionLimits, drive
from s3e_gnn_ros.simulation.picture_folder import load_pictures
from s3e_gnn_ros.simulation.plain_walls import paint_walls_plain
from s3e_gnn_ros.simulation.ray_caster import RayCaster
from s3e_gnn_ros.simulation.route import Stop, plan_path, reverse_tour, shift_tour
from s3e_gnn_ros.simulation.scene import Scene
from s3e_gnn_ros.simulation.scenes import BUILDING, open_scene
from s3e_gnn_ros.simulation.sensor import ColourNoise, DepthNoise
from s3e_gnn_ros.types import Frame

D455 = PinholeCamera(640, 480, 385.2, 385.2, 321.4, 238.7)
"""Colour camera of a RealSense D455 at 640x480, depth aligned to it; 79 degrees wide."""

START_NS = 1_700_000_000_000_000_000
MIN_CLEARANCE_M = 0.3


@dataclass(frozen=True)
class SimulationOptions:
    """What to record.

    Attributes:
        seed: of everything: building, route, noise.
        rate_hz: of images.
        imu_rate_hz: of the IMU.
        duration_s: record only the beginning; None for both laps.
        max_frames: record at most so many images; None for all.
        workers: processes that render; 1 renders in this one. Does not change the result.
        camera: intrinsics.
        limits: how the camera is carried.
        drift: error of the odometry; its seed is added to that of the recording.
        depth_noise: None for perfect depth.
        colour_noise: None for perfect images.
        imu_noise: None for a perfect IMU.
        scene: 'building' for the procedural one, or the path of a GLB file.
        laps: what to drive; empty for one lap and the same in the opposite direction.
        max_lap_m: greatest length of a lap that is found in a GLB file's scene.
        plain_walls: share of the floor where walls are painted plain.
        pictures: folder of pictures for the building's walls, floors and posters; None to draw
            them.

    Raises:
        InputError: a number is out of range.
    """

    seed: int = 0
    rate_hz: float = 10.0
    imu_rate_hz: float = 200.0
    duration_s: float | None = None
    max_frames: int | None = None
    workers: int = 1
    camera: PinholeCamera = D455
    limits: MotionLimits = field(default_factory=MotionLimits)
    drift: DriftModel = field(
        default_factory=lambda: DriftModel(
            translation=0.015, scale=0.015, rotation_deg=0.06, yaw_deg=1.0, yaw_bias_deg=0.6
        )
    )
    depth_noise: DepthNoise | None = field(default_factory=DepthNoise)
    colour_noise: ColourNoise | None = field(default_factory=ColourNoise)
    imu_noise: ImuNoise | None = field(default_factory=ImuNoise)
    scene: str = BUILDING
    laps: tuple[LapOptions, ...] = ()
    max_lap_m: float = 60.0
    plain_walls: float = 0.0
    pictures: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.seed < 0:
            raise InputError(f'seed is {self.seed} instead of at least 0')
        for name in ('rate_hz', 'imu_rate_hz'):
            value = getattr(self, name)
            if not 0 < value <= 1000:
                raise InputError(f'{name} is {value} instead of between 0 and 1000')
        if self.duration_s is not None and not 0 < self.duration_s < np.inf:
            raise InputError(f'duration is {self.duration_s} s instead of more than 0')
        for name in ('max_frames', 'workers'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f'{name} is {value} instead of at least 1')
        if not 0 <= self.plain_walls <= 1:
            raise InputError(f'plain_walls is {self.plain_walls} instead of 0 to 1')
        if not 5 <= self.max_lap_m <= 1000:
            raise InputError(f'max_lap_m is {self.max_lap_m} instead of 5 to 1000')
        if self.pictures is not None and self.scene != BUILDING:
            raise InputError(
                f"pictures {self.pictures} are for the building, not for scene '{self.scene}'"
            )


class SimulatedRecording:
    """Laps through a scene: round it, and the same in the opposite direction unless told.

    See ``Recording`` for the attributes. Frames are rendered anew each time they are read, and
    are the same each time.

    Args:
        options: what to record.
        scene: already opened, used instead of ``options.scene``; its walls are still painted.

    Raises:
        InputError: an option is out of range, there is no such scene, or no clear way leads
            round it.
        DependencyError: embreex or numba is not installed.
    """

    odometry: Trajectory | None
    ground_truth: Trajectory | None

    def __init__(self, options: SimulationOptions, scene: Scene | None = None) -> None:
        """Build the scene and plan the motion; nothing is rendered yet."""
        self.name = f'simulated {Path(options.scene).stem} {options.seed}'
        self.options = options
        self.drops: Counter[str] = Counter()
        self.notes: list[str] = []
        opened = _open_scene(options) if scene is None else scene
        self.scene = paint_walls_plain(opened, options.plain_walls, options.seed)
        self._laps, plan = _plan(opened, options)
        self.motion, self._movers = plan.motion, plan.movers
        self._times_s = _frame_times(self.motion.duration_s, options)
        self.num_frames = len(self._times_s)
        stamps = START_NS + np.round(self._times_s * 1e9).astype(np.int64)
        truth = Trajectory(stamps, self.motion.poses(self._times_s))
        self.ground_truth = truth
        self._odometry = drift(truth, _seeded(options))
        self.odometry = self._odometry

    def frames(self) -> Iterator[Frame]:
        """Render the frames, in order."""
        assert self.ground_truth is not None
        options = self.options
        jobs = self._jobs(self.ground_truth)
        maker = FrameMaker(
            self.scene,
            options.camera,
            options.depth_noise,
            options.colour_noise,
            options.seed,
            tuple(lap.appearance for lap in self._laps),
            self._movers,
        )
        for job, (image, depth) in zip(
            jobs, render_frames(maker, jobs, options.workers), strict=True
        ):
            yield Frame(
                stamp_ns=job.stamp_ns,
                image=image,
                camera=options.camera,
                depth_m=depth,
                T_odom_camera=self._odometry.poses[job.index],
                T_world_camera=job.T_world_camera,
            )

    def _jobs(self, truth: Trajectory) -> list[FrameJob]:
        times, rotations = self._times_s, truth.poses[:, :3, :3]
        turning = self.motion.angular_velocity_rps(times)
        moving = np.einsum('nij,ni->nj', rotations, self.motion.velocity_mps(times))
        laps = self.laps
        return [
            FrameJob(k, float(t), int(stamp), truth.poses[k], turning[k], moving[k], int(laps[k]))
            for k, (t, stamp) in enumerate(zip(times, truth.stamps_ns, strict=True))
        ]

    @property
    def laps(self) -> NDArray[np.intp]:
        """Which lap (N,) each frame belongs to, from 0."""
        ends = np.array(self.motion.lap_ends_s[:-1])
        return np.asarray(np.searchsorted(ends, self._times_s), np.intp)

    def imu(self) -> ImuSamples:
        """IMU samples from the first frame's stamp to the last one's."""
        rng = np.random.default_rng([self.options.seed, 3])
        rate, noise = self.options.imu_rate_hz, self.options.imu_noise
        samples = simulate_imu(self.motion, START_NS, rate, noise, rng)
        end = START_NS + round(self._times_s[-1] * 1e9)
        keep = samples.stamps_ns <= end
        return ImuSamples(
            samples.stamps_ns[keep],
            samples.angular_velocity_rps[keep],
            samples.linear_acceleration_mps2[keep],
        )

    @property
    def distance_m(self) -> float:
        """Distance driven, measured between frames."""
        assert self.ground_truth is not None
        return float(_distances(self.ground_truth.poses).sum())


def _open_scene(options: SimulationOptions) -> Scene:
    if options.scene != BUILDING:
        return open_scene(options.scene, options.seed)
    if options.pictures is None:
        return make_building(options.seed)
    return make_building(options.seed, load_pictures(options.pictures))


def _plan(scene: Scene, options: SimulationOptions) -> tuple[tuple[LapOptions, ...], LapPlan]:
    if options.scene == BUILDING and not options.laps:
        return (), LapPlan(plan_motion(scene, options), ())
    height = options.limits.height_m
    laps = options.laps or tuple(LapOptions(is_reversed=r, height_m=height) for r in (False, True))
    tour = TOUR if options.scene == BUILDING else None
    return laps, plan_laps(scene, laps, options.limits, options.seed, tour, options.max_lap_m)


def plan_motion(scene: Scene, options: SimulationOptions) -> Motion:
    """Plan both laps through the building.

    Raises:
        InputError: a place is not free, or the motion comes nearer than 0.3 m to something.
    """
    caster, rng = RayCaster(scene.triangles_m), np.random.default_rng([options.seed, 1])
    space = FreeSpace.of_scene(scene, caster)
    laps = make_laps(rng)
    motion = drive([plan_path(space, lap) for lap in laps], options.limits, rng)
    times = np.arange(0, motion.duration_s, 0.1)
    clearance = clearance_m(caster, motion.poses(times)[:, :2, 3])
    if clearance.min() < MIN_CLEARANCE_M:
        raise InputError(
            f'the route of seed {options.seed} comes within {clearance.min():.2f} m of an '
            f'obstacle instead of {MIN_CLEARANCE_M} m at {options.limits.speed_mps} m/s; '
            'drive slower or take another seed'
        )
    return motion


def make_laps(rng: np.random.Generator) -> tuple[tuple[Stop, ...], tuple[Stop, ...]]:
    """Both laps: round and a piece further, then all the way back on a slightly other line."""
    first = TOUR + OVERLAP
    return first, shift_tour(reverse_tour(first), rng, 0.08)


def _frame_times(duration_s: float, options: SimulationOptions) -> NDArray[np.float64]:
    duration = min(duration_s, options.duration_s or np.inf)
    # The small allowance keeps a duration of 1 s at 10 Hz at ten frames and not nine.
    count = max(1, int(duration * options.rate_hz + 1e-6))
    return np.arange(min(count, options.max_frames or count)) / options.rate_hz


def _seeded(options: SimulationOptions) -> DriftModel:
    return replace(options.drift, seed=options.drift.seed + options.seed)


def _distances(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1))
