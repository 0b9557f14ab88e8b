"""Reads what an evaluation compares: keyframes of recordings, and folders of plain images."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from s3e_gnn_ros.config import KeyframeConfig
from s3e_gnn_ros.data.image_codec import decode_image
from s3e_gnn_ros.data.recording import Recording
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import DropError, InputError, RecordingError
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.loop_closure.keyframes import KeyframeSelector
from s3e_gnn_ros.types import Frame

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')
Progress = Callable[[str], None]
"""Called with a sentence when a step begins."""

_STEP_NS = 1_000_000_000  # plain images carry no time: one a second
_SPACING = KeyframeConfig(min_translation_m=0.1, min_rotation_deg=10.0, min_interval_s=0.0)


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder at any depth, in the order a reader would count them.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise InputError(f"no folder of images '{folder}'")
    files = [path for path in folder.rglob('*') if path.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise InputError(f"no images in '{folder}'")
    return sorted(files, key=lambda path: _natural(str(path.relative_to(folder))))


class ImageFolder:
    """Plain images as frames: no pose, no depth, stamps one second apart, a nominal camera.

    Args:
        folder: searched at any depth.

    Raises:
        InputError: there is no such folder, or no image in it.
    """

    def __init__(self, folder: Path) -> None:
        self._source = str(folder.resolve())
        self._files = image_files(folder)

    def items(self, extractor: OrbExtractor) -> list[Item]:
        """Read all images and extract their features.

        Raises:
            InputError: an image is damaged.
        """
        return [self._item(index, path, extractor) for index, path in enumerate(self._files)]

    def _item(self, index: int, path: Path, extractor: OrbExtractor) -> Item:
        try:
            image = decode_image(path.read_bytes(), str(path))
        except (OSError, DropError) as err:
            raise InputError(f"cannot read image '{path}': {err}") from err
        frame = Frame(index * _STEP_NS, image, nominal_camera(*image.shape[1::-1]))
        name = f'{path.resolve().parent.name}/{path.name}'
        return Item(frame, extractor.extract(frame), self._source, index, name)


def nominal_camera(width: int, height: int) -> PinholeCamera:
    """Return the camera of an image of unknown origin: about 60 deg wide, square pixels."""
    focal_px = 0.87 * width
    return PinholeCamera(width, height, focal_px, focal_px, (width - 1) / 2, (height - 1) / 2)


def keyframes(recording: Recording) -> list[Frame]:
    """Choose the frames after 0.1 m or 10 deg of true motion.

    Raises:
        RecordingError: the recording lacks true poses or depth, or has under two keyframes.
    """
    selector = KeyframeSelector(_SPACING)
    chosen = []
    for frame in recording.frames():
        if frame.T_world_camera is None or frame.depth_m is None:
            continue
        if selector.is_keyframe(frame.stamp_ns, frame.T_world_camera):
            chosen.append(frame)
    if len(chosen) < 2:
        raise RecordingError(
            f"'{recording.name}' has {len(chosen)} keyframes with true pose and depth: nothing "
            'to compare without a label file'
        )
    return chosen


def recording_items(
    name: str, source: str, frames: Sequence[Frame], extractor: OrbExtractor
) -> list[Item]:
    """Extract the features of the keyframes of a recording.

    Args:
        name: of the recording, in the names of its items.
        source: what no other recording or folder has; see :class:`Item`.
        frames: the keyframes in order.
        extractor: of the features.
    """
    return [
        Item(frame, extractor.extract(frame), source, index, f'{name}/{frame.stamp_ns}')
        for index, frame in enumerate(frames)
    ]


def replace_images(
    items: Iterable[Item], change: Callable[[Item], Frame], extractor: OrbExtractor
) -> list[Item]:
    """Return the items with other frames, and the features of these."""
    changed = []
    for item in items:
        frame = change(item)
        features = extractor.extract(frame)
        changed.append(dataclasses.replace(item, frame=frame, features=features))
    return changed


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key by which 2.jpg comes before 10.jpg."""
    parts = re.split(r'(\d+)', text)
    return [(0, int(part), '') if part.isdigit() else (1, 0, part) for part in parts]
