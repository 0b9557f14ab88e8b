"""Groups of views rendered in worlds whose depth and poses are exact: real parallax."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.overlap import overlap_matrix
from s3e_gnn_ros.data.overlap_views import DepthView, ViewOptions, depth_view
from s3e_gnn_ros.encoder.features import depth_at
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.simulation.recording import D455
from s3e_gnn_ros.simulation.scene import Scene
from s3e_gnn_ros.simulation.view_groups import ViewRange, view_groups
from s3e_gnn_ros.training.degradation import Degradation
from s3e_gnn_ros.training.photometric import Rng
from s3e_gnn_ros.training.view_group import UNBOUNDED, View, ViewGroup
from s3e_gnn_ros.training.view_maker import PatchOptions, ViewMaker, make_view
from s3e_gnn_ros.types import Frame


@dataclass(frozen=True)
class World:
    """A world to render.

    Attributes:
        name: of the world; views of different names never overlap.
        load: makes its scene; sent to other processes, such as ``partial(make_building, 3)``.
    """

    name: str
    load: Callable[[], Scene]


@dataclass(frozen=True)
class RenderedViewOptions:
    """What is made of worlds.

    Attributes:
        num_views: V, per group.
        cameras: each block of groups draws one of them.
        view_range: how the views of a group lie to one another.
        groups_per_world: groups made of one world before the next has its turn.
        max_depth_m: what is farther away counts as unknown.
        degradation: what happens to each view.
        patches: how patches are cut.
        seed: of everything random.
    """

    num_views: int = 4
    cameras: tuple[PinholeCamera, ...] = (
        D455.scaled(0.5),
        D455.scaled(0.75),
        PinholeCamera(480, 360, 400.0, 400.0, 239.5, 179.5),
    )
    view_range: ViewRange = field(default_factory=ViewRange)
    groups_per_world: int = 32
    max_depth_m: float = 20.0
    degradation: Degradation = field(default_factory=Degradation)
    patches: PatchOptions = field(default_factory=PatchOptions)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse groups without pairs, and no cameras."""
        if self.num_views < 2:
            raise ConfigError(f'a group of {self.num_views} views has no pair')
        if not self.cameras or self.groups_per_world < 1:
            raise ConfigError(
                f'{len(self.cameras)} cameras and {self.groups_per_world} groups per world'
            )


class RenderedGroups:
    """Makes any group of a training set from worlds, each by its number alone.

    Worlds take turns, one block of groups each. A range that begins inside a block renders the
    block's groups before it as well, so ask for whole blocks.

    Args:
        worlds: of the split that is wanted.
        options: what is made of them.
    """

    def __init__(self, worlds: Sequence[World], options: RenderedViewOptions) -> None:
        if not worlds:
            raise InputError('there are no worlds to render views of')
        self.options = options
        self._worlds = tuple(worlds)

    def make_groups(self, start: int, stop: int) -> Iterator[ViewGroup]:
        """Make the groups number ``start`` to ``stop - 1``."""
        maker = ViewMaker(self.options.patches, self.options.degradation)
        size = self.options.groups_per_world
        for block in range(start // size, -(-stop // size)):
            world = self._worlds[block % len(self._worlds)]
            first = block * size
            groups = self._render(world, block, min(stop, first + size) - first)
            for k, frames in islice(enumerate(groups), max(start - first, 0), None):
                rng = np.random.default_rng((self.options.seed, 3, first + k))
                yield rendered_group(frames, world.name, maker, self.options, rng)

    def _render(self, world: World, block: int, num: int) -> Iterator[tuple[Frame, ...]]:
        rng = np.random.default_rng((self.options.seed, 2, block))
        camera = self.options.cameras[rng.integers(len(self.options.cameras))]
        seed = int(rng.integers(2**31))
        options = self.options
        return view_groups(world.load(), num, options.num_views, seed, camera, options.view_range)


def rendered_group(
    frames: Sequence[Frame],
    world: str,
    maker: ViewMaker,
    options: RenderedViewOptions,
    rng: Rng,
) -> ViewGroup:
    """Make a group of frames with depth and true pose; landmarks are in the world [m].

    Overlap is that of the clean depth: what degradations put in the way does not count.
    """
    reduction = ViewOptions(min_depth_m=0.05, max_depth_m=options.max_depth_m)
    depths = [depth_view(frame, reduction) for frame in frames]
    return ViewGroup(
        views=tuple(_rendered_view(frame, maker, options.max_depth_m, rng) for frame in frames),
        overlap=overlap_matrix(depths),
        scene=world,
        bounds=seen_box(depths),
        source=world,
    )


def seen_box(depths: Sequence[DepthView]) -> NDArray[np.float32]:
    """Return the box (2, 3) in the world around all that some views see [m].

    Views overlap only where both see one surface, so groups whose boxes are apart do not.
    """
    points = np.concatenate([_world_points(view) for view in depths])
    if len(points) == 0:
        return UNBOUNDED
    return np.stack([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def _world_points(view: DepthView) -> NDArray[np.float64]:
    rows, columns = np.nonzero(view.depth_m > 0)
    z = view.depth_m[rows, columns].astype(np.float64)
    plane = view.camera.normalise(np.column_stack([columns, rows]).astype(np.float64))
    return se3.transform_points(view.T_world_camera, np.column_stack([plane * z[:, None], z]))


def _rendered_view(frame: Frame, maker: ViewMaker, max_depth_m: float, rng: Rng) -> View:
    assert frame.depth_m is not None  # rendered frames have both
    assert frame.T_world_camera is not None
    patches, is_hidden = maker.cut(frame.image, rng)
    z = depth_at(frame.depth_m, patches.points_px)
    z[is_hidden | (z > max_depth_m)] = np.nan
    plane = frame.camera.normalise(patches.points_px)
    points = np.column_stack([plane * z[:, None], z])
    landmarks = se3.transform_points(frame.T_world_camera, points)
    return make_view(patches, landmarks, z / frame.camera.fx)
