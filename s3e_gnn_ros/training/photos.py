"""A folder of photographs: which of them show one place, and which are held out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError

SUFFIXES = ('.jpg', '.jpeg', '.png')
_VIDEO_FRAME = re.compile(r'(?P<place>.+?)__.*frame_?\d+$')
_THUMBNAIL = (24, 18)
# Photographs that are copies of each other correlate above 0.95 at this size; of different
# places below 0.93.
_MIN_COPY_CORRELATION = 0.94


@dataclass(frozen=True)
class Photo:
    """One photograph.

    Attributes:
        path: the file.
        scene: name of the place; photographs of different scenes show different places.
        site: name of the scenes that look alike; a split takes all of a site or nothing.
    """

    path: Path
    scene: str
    site: str


def list_photos(folder: Path) -> tuple[Photo, ...]:
    """Find the photographs below a folder, in the order of their names.

    A file named ``PLACE__..._frame_NUMBER`` is a frame of a video: all of one PLACE are one
    scene, and places that differ in a last number (the floors of a building) are one site.
    Every other photograph is a scene of its own, but copies of one photograph share theirs.

    Raises:
        InputError: there are none.
    """
    paths = sorted(path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"'{folder}' has no photographs ({', '.join(SUFFIXES)})")
    photos = [_name_scene(path, path.relative_to(folder)) for path in paths]
    return tuple(_join_copies(photos))


def split_photos(
    photos: Sequence[Photo], validation_share: float, seed: int
) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """Split into training and validation by site, by a hash of its name and the seed.

    A site keeps its side when others are added.
    """
    held_out = [_unit_hash(f'{seed}/{photo.site}') < validation_share for photo in photos]
    training = tuple(p for p, out in zip(photos, held_out, strict=True) if not out)
    return training, tuple(p for p, out in zip(photos, held_out, strict=True) if out)


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read a photograph, (H, W) grey or (H, W, 3) BGR.

    Raises:
        InputError: it cannot be read.
    """
    image = cv2.imread(str(path), cv2.IMREAD_ANYCOLOR)
    if image is None:
        raise InputError(f"cannot read photograph '{path}'")
    return np.asarray(image, np.uint8)


def _name_scene(path: Path, name: Path) -> Photo:
    found = _VIDEO_FRAME.match(name.with_suffix('').as_posix())
    if found is None:
        scene = name.as_posix()
        return Photo(path, scene, scene)
    place = found['place']
    return Photo(path, place, place.rstrip('0123456789'))


def _join_copies(photos: Sequence[Photo]) -> list[Photo]:
    """Give copies of one photograph the scene of the first of them."""
    thumbnails = np.array([_thumbnail(read_photo(photo.path)) for photo in photos])
    joined: list[Photo] = []
    for k, photo in enumerate(photos):
        alike = np.flatnonzero(thumbnails[:k] @ thumbnails[k] > _MIN_COPY_CORRELATION)
        singles = [i for i in alike.tolist() if photos[i].scene == photos[i].site]
        if photo.scene == photo.site and singles:
            first = joined[singles[0]]
            photo = replace(photo, scene=first.scene, site=first.site)
        joined.append(photo)
    return joined


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    small = np.asarray(cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)
    centred = (small - small.mean()).ravel()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-6), np.float32)


def _unit_hash(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big') / 2**64
