"""The size that a jpeg or png says it has, before a decoder takes memory for it."""

from __future__ import annotations

PNG_START = b'\x89PNG\r\n\x1a\n'
JPEG_START = b'\xff\xd8'
# Start-of-frame markers: all of FFC0..FFCF but the tables DHT, JPG and DAC.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height [px] by the header; None where it has none."""
    if data.startswith(PNG_START):
        return _png_size(data)
    return _jpeg_size(data) if data.startswith(JPEG_START) else None


def _png_size(data: bytes) -> tuple[int, int] | None:
    if len(data) < 24 or data[12:16] != b'IHDR':
        return None
    return int.from_bytes(data[16:20], 'big'), int.from_bytes(data[20:24], 'big')


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = len(JPEG_START)
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:  # markers may be padded
            at += 1
        elif data[at + 1] in _FRAME_MARKERS:
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return int.from_bytes(width, 'big'), int.from_bytes(height, 'big')
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], 'big')
    return None
