"""``s3e-gnn vocabulary``: train a bag-of-words vocabulary from images."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3e_gnn_ros.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from s3e_gnn_ros.retrieval.vocabulary import Vocabulary

IMAGE_SUFFIXES = frozenset(
    ['.bmp', '.jpeg', '.jpg', '.pbm', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp']
)

MIN_SIDE_PX = 32
"""ORB describes patches of 31 pixels, and fails on images of a few."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'images',
        nargs='+',
        type=Path,
        metavar='IMAGE_OR_FOLDER',
        help='images, and folders that are searched for images at any depth',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.npz', help='result')
    parser.add_argument(
        '--branching', type=int, default=40, help='children of a node (%(default)s)'
    )
    parser.add_argument('--depth', type=int, default=3, help='levels of the tree (%(default)s)')
    parser.add_argument(
        '--features', type=int, default=1000, help='ORB features per image (%(default)s)'
    )
    parser.add_argument(
        '--max-images', type=int, metavar='N', help='use N of the images, evenly spread'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the clustering (%(default)s)')


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Extract features, train, write the file, and print what became of the images."""
    from s3e_gnn_ros.retrieval.vocabulary_file import (
        check_writable,
        load_vocabulary,
        save_vocabulary,
    )

    _check_options(args)
    check_writable(args.out)  # before the minutes of training, not after
    start = time.perf_counter()
    files = spread(find_images(args.images, args.out), args.max_images)
    described = list(_describe(files, args.features))
    images = [descriptors for descriptors in described if descriptors is not None]
    if not images:
        raise InputError(
            f"none of {len(files)} files is a usable 8-bit image, for one '{files[0]}'"
        )
    vocabulary = _train(images, args)
    save_vocabulary(vocabulary, args.out)
    load_vocabulary(args.out)  # what cannot be read back must not be reported as done
    result = {
        'vocabulary': str(args.out),
        'num_images': len(images),
        'num_unusable': len(files) - len(images),
        'num_descriptors': sum(map(len, images)),
        'num_words': vocabulary.num_words,
        'branching': vocabulary.branching,
        'depth': vocabulary.depth,
        'num_bytes': args.out.stat().st_size,
        'time_s': round(time.perf_counter() - start, 1),
    }
    if not args.json:
        _print_summary(result)
    return result


def find_images(paths: Sequence[Path], out: Path | None = None) -> list[Path]:
    """List image files in a fixed order, each once.

    Args:
        paths: files, taken as they are, and folders, searched at any depth.
        out: a file to leave out.

    Raises:
        InputError: a path does not exist, or there is no image at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(f for f in path.rglob('*') if f.suffix.lower() in IMAGE_SUFFIXES)
            found.update(dict.fromkeys(f for f in inside if f.is_file()))
        elif path.is_file():
            found[path] = None
        else:
            raise InputError(f"no image or folder '{path}'")
    if not found:
        raise InputError(f"no images in '{paths[0]}'" + (' and the others' * (len(paths) > 1)))
    return list(found)


def spread(files: list[Path], max_images: int | None) -> list[Path]:
    """Return at most ``max_images`` of the files, evenly spread over the list."""
    if max_images is None or max_images >= len(files):
        return files
    return [files[i * len(files) // max_images] for i in range(max_images)]


def _describe(files: list[Path], num_features: int) -> Iterator[NDArray[np.uint8] | None]:
    """Yield the descriptors (N, 32) of each file, or None where it is no usable image."""
    import cv2
    import numpy as np
    from tqdm import tqdm

    from s3e_gnn_ros.config import FeatureConfig
    from s3e_gnn_ros.encoder.features import OrbExtractor

    config = dataclasses.replace(FeatureConfig(), num_features=num_features)
    extractor = OrbExtractor(config)
    for file in tqdm(files, desc='features', unit='image', disable=None):
        image = cv2.imread(str(file), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        # Depth images lie beside the colour ones in many recordings; they are 16-bit.
        is_usable = (
            image is not None and image.dtype == np.uint8 and min(image.shape[:2]) >= MIN_SIDE_PX
        )
        yield extractor.describe(np.asarray(image, dtype=np.uint8)) if is_usable else None


def _train(images: list[NDArray[np.uint8]], args: argparse.Namespace) -> Vocabulary:
    from tqdm import tqdm

    from s3e_gnn_ros.retrieval.training import train_vocabulary

    with tqdm(desc='clustering', unit='descriptor', unit_scale=True, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return train_vocabulary(
            images,
            branching=args.branching,
            depth=args.depth,
            seed=args.seed,
            progress=show,
        )


def _check_options(args: argparse.Namespace) -> None:
    for name, minimum in (('branching', 2), ('depth', 1), ('max_images', 1), ('seed', 0)):
        value = getattr(args, name)
        if value is not None and value < minimum:
            option = name.replace('_', '-')
            raise InputError(f'--{option} is {value} instead of at least {minimum}')
    if args.out.suffix != '.npz':
        raise InputError(f"--out is '{args.out}' instead of a file that ends in .npz")


def _print_summary(result: dict[str, Any]) -> None:
    print(
        f'{result["vocabulary"]}: {result["num_words"]} words from {result["num_descriptors"]} '
        f'descriptors of {result["num_images"]} images, {result["num_bytes"] / 1e6:.1f} MB, '
        f'{result["time_s"]:.0f} s'
    )
    if result['num_unusable']:
        print(f'{result["num_unusable"]} files left out: unreadable, not 8-bit, or tiny')
