"""Laps from lists of numbers as a user writes them: one value per lap, repeated as needed."""

from __future__ import annotations

from collections.abc import Mapping

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.simulation.appearance import Appearance
from s3e_gnn_ros.simulation.laps import LapOptions

LAP_VALUES = {
    'heights': 1.05,
    'yaw_offsets': 0.0,
    'dark': 0.0,
    'exposure': 1.0,
    'gain': 1.0,
    'noise': 1.0,
    'blur': 0.006,
    'shake': 0.0,
    'tint': 0.0,
    'moving_objects': 0.0,
}
"""Names of the lists, and what one that is not given stands for."""

_OF_APPEARANCE = ('dark', 'exposure', 'gain', 'noise', 'blur', 'shake', 'tint')
_MIN_LAPS = 2


def parse_laps(texts: Mapping[str, str | None]) -> tuple[LapOptions, ...]:
    """Read comma-separated numbers by the names of ``LAP_VALUES``; empty when none is given.

    Every second lap is driven in the opposite direction. Without a value of its appearance, the
    recording keeps its automatic exposure.

    Raises:
        ConfigError: a text is not a list of numbers.
        InputError: a number is out of range.
    """
    lists = {name: _numbers(name, text) for name, text in texts.items() if text is not None}
    if not lists:
        return ()
    count = max(_MIN_LAPS, *(len(numbers) for numbers in lists.values()))
    has_appearance = any(name in lists for name in _OF_APPEARANCE)
    laps = []
    for k in range(count):
        own = {name: numbers[k % len(numbers)] for name, numbers in lists.items()}
        laps.append(_lap(k, {**LAP_VALUES, **own}, has_appearance))
    return tuple(laps)


def _lap(k: int, value: Mapping[str, float], has_appearance: bool) -> LapOptions:
    if value['moving_objects'] != int(value['moving_objects']):
        raise ConfigError(f'--moving-objects has {value["moving_objects"]}, not a whole number')
    return LapOptions(
        is_reversed=k % 2 == 1,
        height_m=value['heights'],
        yaw_offset_deg=value['yaw_offsets'],
        appearance=_appearance(value) if has_appearance else None,
        num_movers=int(value['moving_objects']),
    )


def _appearance(value: Mapping[str, float]) -> Appearance:
    standard, tint = Appearance(), value['tint']
    return Appearance(
        exposure=value['exposure'],
        gain=value['gain'],
        white_balance=(1 - tint, 1.0, 1 + tint),
        darkness=value['dark'],
        read=standard.read * value['noise'],
        shot=standard.shot * value['noise'] * abs(value['noise']),
        shutter_s=value['blur'],
        shake_dps=value['shake'],
    )


def _numbers(name: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(',')]
    except ValueError as err:
        option = name.replace('_', '-')
        raise ConfigError(f"--{option} is '{text}' instead of numbers with commas") from err
    if any(number != number or abs(number) == float('inf') for number in numbers):
        raise ConfigError(f"--{name.replace('_', '-')} is '{text}', which is not finite")
    return numbers
