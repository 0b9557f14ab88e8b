"""Groups of overlapping views of one photograph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.training.degradation import Degradation
from s3e_gnn_ros.training.photometric import Image, Rng
from s3e_gnn_ros.training.photos import Photo, read_photo
from s3e_gnn_ros.training.view_group import UNBOUNDED, View, ViewGroup
from s3e_gnn_ros.training.view_maker import PatchOptions, ViewMaker, make_view
from s3e_gnn_ros.training.virtual_camera import (
    CameraRanges,
    Homography,
    Size,
    draw_camera,
    overlap_matrix,
    spacing_at,
    take_view,
    transform,
)

# A view needs room to move in the photograph, or all views of a group were the same.
_MIN_ROOM = 1.15
_MAX_DRAWS = 12


@dataclass(frozen=True)
class PhotoViewOptions:
    """What is made of photographs.

    Attributes:
        num_views: V, per group.
        sizes: of views; each group draws one of those that the photograph has room for.
        min_overlap: of every view with the first of its group, in one of the directions.
        camera: where the virtual cameras stand.
        degradation: what happens to each view.
        patches: how patches are cut.
        seed: of everything random.
    """

    num_views: int = 4
    sizes: tuple[Size, ...] = ((256, 192), (320, 240), (400, 300), (480, 360), (640, 480))
    min_overlap: float = 0.1
    camera: CameraRanges = field(default_factory=CameraRanges)
    degradation: Degradation = field(default_factory=Degradation)
    patches: PatchOptions = field(default_factory=PatchOptions)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse groups without pairs, and no sizes."""
        if self.num_views < 2:
            raise ConfigError(f'a group of {self.num_views} views has no pair')
        if not self.sizes:
            raise ConfigError('there is no size for views')


class PhotoGroups:
    """Makes any group of a training set from photographs, each by its number alone.

    Every photograph has its turn before any has its second.

    Args:
        photos: of the split that is wanted.
        options: what is made of them.
    """

    def __init__(self, photos: Sequence[Photo], options: PhotoViewOptions) -> None:
        if not photos:
            raise InputError('there are no photographs to make views of')
        self.options = options
        self._photos = tuple(photos)

    def make_groups(self, start: int, stop: int) -> Iterator[ViewGroup]:
        """Make the groups number ``start`` to ``stop - 1``."""
        maker = ViewMaker(self.options.patches, self.options.degradation)
        for number in range(start, stop):
            turn, position = divmod(number, len(self._photos))
            order = np.random.default_rng((self.options.seed, 0, turn))
            photo = self._photos[order.permutation(len(self._photos))[position]]
            rng = np.random.default_rng((self.options.seed, 1, number))
            yield photo_group(photo, maker, self.options, rng)


def photo_group(photo: Photo, maker: ViewMaker, options: PhotoViewOptions, rng: Rng) -> ViewGroup:
    """Make V views of a photograph; landmarks are its pixels (x, y, 0)."""
    image = read_photo(photo.path)
    photo_size = (image.shape[1], image.shape[0])
    size = draw_size(photo_size, options, rng)
    cameras = draw_cameras(photo_size, size, options, rng)
    return ViewGroup(
        views=tuple(_photo_view(image, H, size, maker, rng) for H in cameras),
        overlap=overlap_matrix(cameras, size),
        scene=photo.scene,
        bounds=UNBOUNDED,
        source=photo.path.name,
    )


def draw_size(photo_size: Size, options: PhotoViewOptions, rng: Rng) -> Size:
    """Draw the size of a group's views among those that need not magnify the photograph much."""
    least = options.camera.spacing[0] * _MIN_ROOM
    fitting = [
        size
        for size in options.sizes
        if min(photo_size[0] / size[0], photo_size[1] / size[1]) >= least
    ]
    return fitting[rng.integers(len(fitting))] if fitting else min(options.sizes)


def draw_cameras(
    photo_size: Size, size: Size, options: PhotoViewOptions, rng: Rng
) -> list[Homography]:
    """Draw H_photo_view of V cameras that see some of what the first one sees."""
    cameras = [draw_camera(photo_size, size, options.camera, rng)]
    while len(cameras) < options.num_views:
        for _ in range(_MAX_DRAWS):
            camera = draw_camera(photo_size, size, options.camera, rng)
            if overlap_matrix([cameras[0], camera], size)[[0, 1], [1, 0]].max() >= (
                options.min_overlap
            ):
                break
        cameras.append(camera)
    return cameras


def _photo_view(
    photo: Image, H_photo_view: Homography, size: Size, maker: ViewMaker, rng: Rng
) -> View:
    patches, is_hidden = maker.cut(take_view(photo, H_photo_view, size), rng)
    points = transform(H_photo_view, patches.points_px)
    landmarks = np.column_stack([points, np.zeros(len(points))])
    landmarks[is_hidden] = np.nan
    return make_view(patches, landmarks, spacing_at(H_photo_view, patches.points_px))
