"""Photographs that tests make views of."""

import cv2
import numpy as np
import pytest


def textured(seed, height=300, width=400):
    """Blobs of several sizes: corners at every scale, no two alike."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width), np.float32)
    for cell in (40, 16, 7):
        grid = rng.standard_normal((height // cell + 2, width // cell + 2)).astype(np.float32)
        image += cv2.resize(grid, (width, height), interpolation=cv2.INTER_NEAREST)
    image -= image.min()
    return (image / image.max() * 255).astype(np.uint8)


@pytest.fixture(scope='session')
def photo_folder(tmp_path_factory):
    """Six photographs: one colour, one a copy of another, two frames of one place."""
    folder = tmp_path_factory.mktemp('photos')
    for k in range(3):
        cv2.imwrite(str(folder / f'room__image_{k:04d}.png'), textured(k))
    cv2.imwrite(str(folder / 'room__image_0009.jpg'), textured(1))
    for k in range(2):
        image = cv2.cvtColor(textured(20 + k), cv2.COLOR_GRAY2BGR)
        cv2.imwrite(str(folder / f'floor7__stairs_frame_{k:06d}.png'), image)
    return folder
