"""Draws what happens to one training image, and does it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.training import photometric
from s3e_gnn_ros.training.photometric import Image, Rng

Range = tuple[float, float]


@dataclass(frozen=True)
class Degradation:
    """How likely each spoiling of an image is, and how strong.

    All are drawn independently, so they combine. The ranges hold what a robot meets; the values
    an evaluation uses lie inside them and are none of their ends.

    Attributes:
        exposure: probability of a change of exposure, gamma and contrast.
        dark: probability of darkness.
        motion_blur: probability of blur along a line.
        defocus: probability of blur over a disc.
        noise: probability of white noise.
        jpeg: probability of compression.
        vignetting: probability of dark corners.
        lighting: probability of a shadow or lamp.
        occlusion: probability of things in the way.
        light: share of light left when dark, drawn log-uniformly.
        mean_after_gain: a dark image is amplified to a mean between none and this one [levels].
        blur_px: length of motion blur, drawn log-uniformly [px].
        defocus_px: radius of defocus [px].
        noise_levels: deviation of white noise [grey levels].
        jpeg_quality: quality of compression, 1 to 100.
    """

    exposure: float = 0.7
    dark: float = 0.25
    motion_blur: float = 0.25
    defocus: float = 0.08
    noise: float = 0.3
    jpeg: float = 0.2
    vignetting: float = 0.15
    lighting: float = 0.2
    occlusion: float = 0.15
    light: Range = (0.008, 0.12)
    mean_after_gain: float = 110.0
    blur_px: Range = (3.0, 40.0)
    defocus_px: Range = (1.0, 3.5)
    noise_levels: Range = (1.0, 12.0)
    jpeg_quality: Range = (25.0, 90.0)

    def __post_init__(self) -> None:
        """Refuse probabilities and ranges that are none."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple):
                if len(value) != 2 or not 0 < value[0] <= value[1]:
                    raise ConfigError(f'degradation range {item.name} is {value}')
            elif item.name != 'mean_after_gain' and not 0 <= value <= 1:
                raise ConfigError(f'degradation probability {item.name} is {value}')

    def apply(self, image: Image, rng: Rng) -> tuple[Image, NDArray[np.bool_]]:
        """Spoil an image (H, W) or (H, W, 3), in the order light, lens and sensor would.

        Returns:
            The image, and a mask (H, W) of what things in the way hide.
        """
        is_hidden = np.zeros(image.shape[:2], np.bool_)
        if rng.random() < self.occlusion:
            image, is_hidden = photometric.occlude(image, int(rng.integers(1, 4)), 0.06, rng)
        if rng.random() < self.lighting:
            image = _relight(image, rng)
        image = self._blur(image, rng)
        if rng.random() < self.vignetting:
            image = photometric.vignette(image, rng.uniform(0.1, 0.6))
        if rng.random() < self.exposure:
            image = photometric.expose(
                image, rng.uniform(0.6, 1.5), rng.uniform(0.6, 1.6), rng.uniform(0.6, 1.3)
            )
        return self._record(image, rng), is_hidden

    def _blur(self, image: Image, rng: Rng) -> Image:
        if rng.random() < self.motion_blur:
            length = log_uniform(self.blur_px, rng)
            image = photometric.motion_blur(image, length, rng.uniform(0, 180))
        if rng.random() < self.defocus:
            image = photometric.defocus(image, rng.uniform(*self.defocus_px))
        return image

    def _record(self, image: Image, rng: Rng) -> Image:
        if rng.random() < self.dark:
            image = self._darken(image, rng)
        if rng.random() < self.noise:
            image = photometric.add_noise(image, log_uniform(self.noise_levels, rng), rng)
        if rng.random() < self.jpeg:
            image = photometric.compress(image, round(rng.uniform(*self.jpeg_quality)))
        return image

    def _darken(self, image: Image, rng: Rng) -> Image:
        light = log_uniform(self.light, rng)
        most = max(1.0, self.mean_after_gain / max(light * float(image.mean()), 0.5))
        gain = log_uniform((1.0, most), rng)
        read_noise = rng.uniform(0.3, 1.5)
        return photometric.darken(image, light, gain, read_noise, rng.uniform(0, 0.3), rng)


def log_uniform(bounds: Range, rng: Rng) -> float:
    """Draw a number whose logarithm is uniform between two bounds."""
    return float(np.exp(rng.uniform(*np.log(bounds))))


def _relight(image: Image, rng: Rng) -> Image:
    if rng.random() < 0.5:
        return photometric.cast_shadow(image, rng.uniform(-0.5, 0.8), rng)
    return photometric.light_lamp(image, rng.uniform(40, 200), rng)
