"""Render frames in this process or in several, with the same result."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.simulation.appearance import Appearance
from s3e_gnn_ros.simulation.movers import Mover, render_with_movers
from s3e_gnn_ros.simulation.renderer import Renderer
from s3e_gnn_ros.simulation.scene import Scene
from s3e_gnn_ros.simulation.sensor import ColourNoise, DepthNoise

# Frames ahead of the reader, per process: enough to keep all busy, little enough memory.
_AHEAD = 3
ColourAndDepth: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class FrameJob:
    """One frame to render.

    Attributes:
        index: of the frame; with the seed it determines the noise.
        time_s: since the start.
        stamp_ns: its stamp.
        T_world_camera: pose (4, 4) of the optical frame.
        angular_velocity_rps: (3,) in the optical frame.
        velocity_mps: (3,) in the optical frame.
        lap: which lap of the recording it belongs to.
    """

    index: int
    time_s: float
    stamp_ns: int
    T_world_camera: Pose
    angular_velocity_rps: NDArray[np.float64]
    velocity_mps: NDArray[np.float64]
    lap: int = 0

    @property
    def twist(self) -> NDArray[np.float64]:
        """Angular and linear velocity (6,) in the optical frame."""
        return np.concatenate([self.angular_velocity_rps, self.velocity_mps])


@dataclass(frozen=True, eq=False)
class FrameMaker:
    """Renders a job and puts the sensor's noise on it.

    Attributes:
        scene: what is seen.
        camera: intrinsics.
        depth_noise: None for none.
        colour_noise: None for none.
        seed: of the noise.
        appearances: of each lap; None, as beyond their end, for ``colour_noise``.
        movers: what else moves in each lap.
    """

    scene: Scene
    camera: PinholeCamera
    depth_noise: DepthNoise | None
    colour_noise: ColourNoise | None
    seed: int
    appearances: tuple[Appearance | None, ...] = ()
    movers: tuple[tuple[Mover, ...], ...] = ()

    @cached_property
    def renderer(self) -> Renderer:
        """Made where it is used: its search tree cannot be sent to another process."""
        return Renderer(self.scene)

    def make(self, job: FrameJob) -> ColourAndDepth:
        """Return the image (H, W, 3) BGR and the depth (H, W) [m] of a job."""
        view = self.renderer.render(job.T_world_camera, self.camera)
        for movers in self.movers[job.lap : job.lap + 1]:
            pose, camera = job.T_world_camera, self.camera
            view = render_with_movers(view, movers, job.time_s, pose, camera)
        rng = np.random.default_rng([self.seed, 2, job.index])
        image, depth = view
        if self.depth_noise is not None:
            depth = self.depth_noise.apply(depth, self.camera, rng)
        appearance = next(iter(self.appearances[job.lap : job.lap + 1]), None)
        if appearance is not None:
            image = appearance.apply(image, view.depth_m, self.camera, job.twist, rng)
        elif self.colour_noise is not None:
            omega = job.angular_velocity_rps
            image = self.colour_noise.apply(image, self.camera, omega, job.time_s, rng)
        return image, depth


def render_frames(
    maker: FrameMaker, jobs: list[FrameJob], workers: int
) -> Iterator[ColourAndDepth]:
    """Render jobs in order, by ``workers`` processes, or in this one when that is 1.

    Raises:
        RecordingError: a process died.
    """
    if workers == 1 or len(jobs) < 2:
        yield from map(maker.make, jobs)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)),
        mp_context=multiprocessing.get_context('spawn'),
        initializer=_start_worker,
        initargs=(maker,),
    )
    waiting: deque[Future[ColourAndDepth]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(_make, job))
            if len(waiting) > _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as err:
        raise RecordingError(f'a rendering process died ({err}); try one worker') from err
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_maker: FrameMaker | None = None


def _start_worker(maker: FrameMaker) -> None:
    global _maker
    # Ctrl-C reaches every process; the one that reads the frames ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)  # the processes already share the cores between them
    _maker = maker


def _make(job: FrameJob) -> ColourAndDepth:
    assert _maker is not None
    return _maker.make(job)
