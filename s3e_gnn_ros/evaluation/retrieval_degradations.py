"""Variants of an evaluation: harder queries, barred candidates, distractors."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.types import Frame

DEGRADATIONS = ('blur', 'dark')
_BLUR_LENGTH_PX = 31
_LIGHT = 0.02
# A small sensor at high gain: electrons per grey level, read noise, and where auto exposure
# brings the mean of what is left. The protocol names only the 2 % of light.
_ELECTRONS_PER_LEVEL = 4.0
_READ_NOISE_LEVELS = 0.6
_EXPOSED_MEAN = 110.0


@dataclass(frozen=True)
class Variant:
    """One way to make the task harder.

    Attributes:
        name: as asked for, such as ``rot20+dark+dis``.
        min_rotation_deg: candidates rotated by less against the query are barred.
        degradations: of the query's image, in order.
        has_distractors: whether other folders are in the database, too.
    """

    name: str
    min_rotation_deg: float = 0.0
    degradations: tuple[str, ...] = ()
    has_distractors: bool = False


def parse_variant(text: str) -> Variant:
    """Read ``plain``, or names joined by ``+``: ``rot<deg>``, ``blur``, ``dark``, ``dis``.

    Raises:
        ConfigError: a name is unknown.
    """
    min_rotation_deg, degradations, has_distractors = 0.0, [], False
    for name in text.split('+'):
        rotation = re.fullmatch(r'rot(\d+)', name)
        if rotation:
            min_rotation_deg = float(rotation[1])
        elif name in DEGRADATIONS:
            degradations.append(name)
        elif name == 'dis':
            has_distractors = True
        elif text != 'plain':
            known = f'plain, rot20, {", ".join(DEGRADATIONS)}, dis, joined by +'
            raise ConfigError(f"unknown variant '{name}' in '{text}'; known: {known}")
    return Variant(text, min_rotation_deg, tuple(degradations), has_distractors)


def degrade(item: Item, degradations: tuple[str, ...], seed: int) -> Frame:
    """Return the item's frame with a worse image; the same seed and item give the same image."""
    rng = np.random.default_rng([seed, item.index])
    image = item.frame.image
    for name in degradations:
        image = {'blur': blur, 'dark': darken}[name](image, rng)
    return dataclasses.replace(item.frame, image=image)


def blur(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur over 31 px along a line of random direction, as a camera that moves does."""
    middle = _BLUR_LENGTH_PX // 2
    kernel = np.zeros((_BLUR_LENGTH_PX, _BLUR_LENGTH_PX), np.float32)
    kernel[middle] = 1.0
    turn = cv2.getRotationMatrix2D((middle, middle), rng.uniform(0.0, 180.0), 1.0)
    kernel = np.asarray(cv2.warpAffine(kernel, turn, kernel.shape), np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def darken(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take the image at 2 % of its light, with shot and read noise, and brighten it again."""
    electrons = rng.poisson(image * (_LIGHT * _ELECTRONS_PER_LEVEL))
    levels = electrons / _ELECTRONS_PER_LEVEL + rng.normal(0, _READ_NOISE_LEVELS, image.shape)
    levels = np.clip(levels, 0, 255)
    gain = _EXPOSED_MEAN / max(float(levels.mean()), 0.5)
    return np.clip(levels * gain, 0, 255).astype(np.uint8)
