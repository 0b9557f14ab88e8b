"""Textures with a subject: posters, maps, book spines, doors, windows, screens, notices."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.simulation.noise import Colour, Rng, canvas, finish, fractal_noise, grain, jitter
from s3e_gnn_ros.simulation.scene import Texture

_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
_SYLLABLES = (
    *('ba', 'ce', 'di', 'fo', 'gu', 'ha', 'ki', 'lo', 'me', 'nu', 'pa', 'ro', 'si', 'ta', 've'),
    *('wo', 'za', 'lin', 'mar', 'ton', 'ster', 'berg'),
)
Image = NDArray[np.float32]
Painter = Callable[[Rng, int, int], Image]


def word(rng: Rng) -> str:
    """Invent a word."""
    return ''.join(rng.choice(_SYLLABLES, int(rng.integers(2, 4)))).upper()


def vivid(rng: Rng) -> tuple[float, float, float]:
    """Pick a saturated colour."""
    hsv = np.array([[[rng.integers(180), rng.integers(60, 200), rng.integers(90, 235)]]], np.uint8)
    b, g, r = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)
    return b, g, r


def poster(rng: Rng, width: int, height: int) -> Texture:
    """A framed print of one of several kinds."""
    painters: tuple[Painter, ...] = (_abstract, _landscape, _rings, _chart, _page, _mosaic)
    frame = max(5, min(width, height) // 26)
    shade = float(rng.choice([25, 60, 150, 215]))
    image = canvas(height, width, jitter(rng, (shade * 0.7, shade * 0.85, shade), 6))
    inner = (width - 2 * frame, height - 2 * frame)
    painter = painters[int(rng.integers(len(painters)))]
    image[frame:-frame, frame:-frame] = painter(rng, *inner)
    return finish(grain(rng, image, 2, 2))


def _text(rng: Rng, image: Image, at: tuple[int, int], height: float, ink: Colour) -> None:
    """Write an invented word with its lower left corner at (x, y)."""
    font = _FONTS[int(rng.integers(len(_FONTS)))]
    thickness = max(1, int(height / 9))
    letters = word(rng)
    (width, rise), drop = cv2.getTextSize(letters, font, height / 22, thickness)
    mask = np.zeros((rise + drop, width), np.uint8)  # OpenCV 5 writes on bytes only
    cv2.putText(mask, letters, (0, rise), font, height / 22, 255, thickness, cv2.LINE_AA)
    x, y = at[0], max(0, at[1] - rise)
    target = image[y : y + rise + drop, x : x + width]
    cover = mask[: target.shape[0], : target.shape[1], None] / np.float32(255)
    target += cover * (np.array(ink, np.float32) - target)


def _abstract(rng: Rng, width: int, height: int) -> Image:
    image = canvas(height, width, vivid(rng))
    for _ in range(int(rng.integers(14, 26))):
        centre = rng.uniform((0, 0), (width, height))
        radius = rng.uniform(0.05, 0.3) * min(width, height)
        turn, sides = rng.uniform(0, 6.28), int(rng.integers(3, 7))
        angles = turn + np.arange(sides) * 2 * np.pi / sides
        corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillConvexPoly(image, corners.astype(np.int32), vivid(rng), cv2.LINE_AA)
        if rng.random() < 0.4:
            at = (int(centre[0]), int(centre[1]))
            cv2.circle(image, at, int(radius * 0.6), vivid(rng), 2, cv2.LINE_AA)
    _text(rng, image, (8, height - 12), height / 9, (15, 15, 15))
    return image


def _landscape(rng: Rng, width: int, height: int) -> Image:
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    image = (1 - rows) * np.array(vivid(rng)) + rows * np.array([210, 225, 235.0])
    image = np.repeat(image, width, axis=1).astype(np.float32)
    x = np.arange(width)
    for k in range(5):
        ridge = fractal_noise(rng, 1, width, width / 3, 6)[0] * height * 0.07
        top = height * (0.3 + 0.15 * k) + ridge
        mask = np.arange(height)[:, None] > top[None, x]
        image[mask] = np.array(vivid(rng)) * (0.9 - 0.13 * k)
    image += (fractal_noise(rng, height, width, 24, 4) * 16)[..., None]
    sun = (int(rng.uniform(0.2, 0.8) * width), int(height * 0.2))
    cv2.circle(image, sun, height // 12, (140, 225, 250), -1, cv2.LINE_AA)
    return image


def _rings(rng: Rng, width: int, height: int) -> Image:
    image = canvas(height, width, jitter(rng, (205, 215, 220), 12))
    for _ in range(int(rng.integers(4, 9))):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        radius, step = int(min(width, height) * rng.uniform(0.1, 0.4)), int(rng.integers(6, 15))
        for r in range(radius, 2, -step):
            cv2.circle(image, at, r, vivid(rng), -1, cv2.LINE_AA)
    return image


def _chart(rng: Rng, width: int, height: int) -> Image:
    image = canvas(height, width, (228, 232, 234))
    for k in range(1, 9):
        cv2.line(image, (0, k * height // 9), (width, k * height // 9), (180, 180, 180), 1)
    bars = int(rng.integers(6, 12))
    for k in range(bars):
        left, right = (10 + k * (width - 20) // bars, 4 + (k + 1) * (width - 20) // bars)
        top = int(height * rng.uniform(0.25, 0.85))
        cv2.rectangle(image, (left, top), (right, height - 16), vivid(rng), -1)
    _text(rng, image, (10, height // 7), height / 10, (40, 30, 30))
    _text(rng, image, (10, height // 5), height / 16, (90, 80, 70))
    return image


def _page(rng: Rng, width: int, height: int) -> Image:
    image = canvas(height, width, jitter(rng, (222, 232, 236), 8))
    line = max(13, height // 24)
    _text(rng, image, (8, line * 2), line * 1.7, vivid(rng))
    for y in range(line * 3, height - line, line):
        x = 8
        while x < width - 20:
            _text(rng, image, (x, y), line * 0.62, (45, 40, 40))
            x += int(rng.integers(4, 8)) * line // 2
    corner = (int(width * rng.uniform(0.05, 0.5)), int(height * rng.uniform(0.3, 0.6)))
    end = (corner[0] + int(width * 0.4), corner[1] + height // 4)
    picture = _abstract(rng, end[0] - corner[0], end[1] - corner[1])
    target = image[corner[1] : end[1], corner[0] : end[0]]
    target[:] = picture[: target.shape[0], : target.shape[1]]
    return image


def _mosaic(rng: Rng, width: int, height: int) -> Image:
    columns = int(rng.integers(5, 10))
    rows = max(3, columns * height // width)
    palette = np.array([vivid(rng) for _ in range(5)] + [(20, 20, 20), (235, 235, 235)])
    cells = palette[rng.integers(len(palette), size=(rows, columns))].astype(np.float32)
    image = cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)
    for _ in range(6):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(image, at, int(rng.integers(6, 30)), vivid(rng), -1, cv2.LINE_AA)
    return np.asarray(image)


def book_spines(rng: Rng, width: int, height: int, rows: int) -> Texture:
    """The open front of a bookcase: boards, shadows and books of all sizes."""
    image = canvas(height, width, (28, 38, 48))
    board = max(5, height // (rows * 14))
    shelf = height // rows
    for k in range(rows):
        bottom = (k + 1) * shelf - board
        cv2.rectangle(image, (0, bottom), (width, bottom + board), (70, 105, 140), -1)
        x = board
        while x < width - board - 8:
            thick = int(rng.integers(9, 26))
            tall = int((shelf - board) * rng.uniform(0.6, 0.95))
            if rng.random() < 0.93:
                _book(rng, image, (x, bottom - tall), (min(x + thick, width - board), bottom))
            x += thick + int(rng.random() < 0.2) * 3
    for x in (0, width - board):
        cv2.rectangle(image, (x, 0), (x + board, height), (65, 100, 135), -1)
    return finish(grain(rng, image, 3, 3))


def _book(rng: Rng, image: Image, corner: tuple[int, int], end: tuple[int, int]) -> None:
    cover = vivid(rng) if rng.random() < 0.7 else jitter(rng, (170, 180, 185), 30)
    cv2.rectangle(image, corner, (end[0] - 1, end[1]), cover, -1)
    cv2.line(image, (end[0] - 1, corner[1]), end, (20, 20, 25), 1)
    ink = (235.0, 235.0, 235.0) if sum(cover) < 360 else (25.0, 25.0, 30.0)
    tall = end[1] - corner[1]
    for share in rng.uniform(0.08, 0.92, int(rng.integers(1, 4))):
        y = corner[1] + int(share * tall)
        low = (end[0] - 3, y + int(rng.integers(2, 9)))
        cv2.rectangle(image, (corner[0] + 1, y), low, ink, -1)


def window_view(rng: Rng, width: int, height: int) -> Texture:
    """A window with its frame, and hills, houses and trees behind it."""
    image = _landscape(rng, width, height) * 0.5 + 105
    for _ in range(7):
        left, wide = int(rng.integers(width)), int(rng.integers(width // 12, width // 5))
        top = int(height * rng.uniform(0.35, 0.65))
        wall = jitter(rng, (150, 165, 185), 30)
        cv2.rectangle(image, (left, top), (left + wide, int(height * 0.85)), wall, -1)
        for y in range(top + 8, int(height * 0.82), 18):
            for x in range(left + 6, left + wide - 8, 15):
                cv2.rectangle(image, (x, y), (x + 7, y + 9), (95, 80, 65), -1)
    green = fractal_noise(rng, height, width, 14, 3)[..., None]
    horizon = int(height * 0.8)
    image[horizon:] = np.array([60, 125, 85]) + green[horizon:] * 28
    bar = max(7, width // 24)
    for x in (0, width // 2 - bar // 2, width - bar):
        cv2.rectangle(image, (x, 0), (x + bar, height), (228, 230, 232), -1)
    for y in (0, int(height * 0.3), height - bar):
        cv2.rectangle(image, (0, y), (width, y + bar), (222, 224, 226), -1)
    return finish(image)


def notice_board(rng: Rng, width: int, height: int) -> Texture:
    """Cork with pinned papers."""
    image = grain(rng, canvas(height, width, (95, 140, 180)), 6, 12)
    for _ in range(int(width * height / 11000)):
        wide, tall = int(rng.integers(45, 100)), int(rng.integers(50, 120))
        x = int(rng.integers(4, max(5, width - wide)))
        y = int(rng.integers(4, max(5, height - tall)))
        paper = (_page if rng.random() < 0.6 else _chart)(rng, wide, tall)
        target = image[y : y + tall, x : x + wide]
        target[:] = paper[: target.shape[0], : target.shape[1]]
        cv2.circle(image, (x + wide // 2, y + 5), 4, vivid(rng), -1, cv2.LINE_AA)
    cv2.rectangle(image, (0, 0), (width - 1, height - 1), (50, 80, 110), 10)
    return finish(image)


def cupboard_front(rng: Rng, base: Texture, columns: int, rows: int) -> Texture:
    """Doors and drawers with handles, drawn on the veneer ``base``."""
    image = base.astype(np.float32)
    height, width = image.shape[:2]
    for k in range(columns):
        for j in range(rows):
            x0, x1 = k * width // columns, (k + 1) * width // columns
            y0, y1 = j * height // rows, (j + 1) * height // rows
            cv2.rectangle(image, (x0 + 2, y0 + 2), (x1 - 3, y1 - 3), (35, 35, 40), 2)
            cv2.rectangle(image, (x0 + 14, y0 + 14), (x1 - 15, y1 - 15), (90, 95, 100), 1)
            handle = (x0 + (x1 - x0) // 2 - 14, y0 + int(rng.integers(18, 26)))
            cv2.rectangle(image, handle, (handle[0] + 28, handle[1] + 5), (40, 42, 45), -1)
            if rng.random() < 0.35:
                at = (x0 + 20, y0 + (y1 - y0) // 2)
                cv2.rectangle(image, at, (at[0] + 34, at[1] + 26), vivid(rng), -1)
    return finish(image)
