"""Run time of the learned method: patches, encoders, and what a keyframe costs in all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import cv2
import numpy as np
import torch

from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.encoder_config import PATCH_SIZES_PX, EncoderConfig
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.evaluation.bench_graph import GraphGrowth
from s3e_gnn_ros.evaluation.bench_timing import Timing, measure
from s3e_gnn_ros.types import Features, Frame

_NUM_SAMPLES = 24
_NUM_WARM_UP = 3
_NAMES = {'none': 'vlad', 'sparse_conv': 'SparseConv', 'vit': 'ViT'}
"""Rows of the backbones; 'vlad' is the encoder that ships, which has none."""
PATCHES = 'patches'


@contextmanager
def one_core() -> Iterator[None]:
    """Keep torch and OpenCV on one core; numpy's products follow OMP_NUM_THREADS."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def encoder_configs() -> dict[str, EncoderConfig]:
    """Return which encoders are measured, by the name of their row."""
    configs = {f'patches + {row}': EncoderConfig(name) for name, row in _NAMES.items()}
    for name in ('sparse_conv', 'vit'):
        for side in PATCH_SIZES_PX:
            row = f'patches + {_NAMES[name]}, as in the paper, P {side}'
            configs[row] = EncoderConfig(name, form='paper', patch_size_px=side)
    return configs


def time_encoders(images: Sequence[tuple[Frame, Features]]) -> list[Timing]:
    """Measure untrained encoders, which take as long as trained ones, on one core.

    Args:
        images: frames with their features, one at least; taken in turns.

    Returns:
        One row for the patches of the improved form, and one per encoder, from image and
        keypoints to the embedding.
    """
    torch.manual_seed(0)
    rows: list[Timing] = []
    with one_core():
        for name, config in encoder_configs().items():
            encoder = Encoder(config, build_encoder(config))
            if not rows:
                rows.append(Timing(PATCHES, _sample(encoder, images, only_cut=True)))
            rows.append(Timing(name, _sample(encoder, images)))
    return rows


def whole_keyframe(encoders: Sequence[Timing], growth: GraphGrowth) -> list[Timing]:
    """Add up patches, network, update of the map, query sub-graph and query, per backbone."""
    graph_ms = sum(
        float(np.median(part.samples_ms))
        for part in (growth.update, growth.sub_graph, growth.query)
    )
    return [
        Timing(
            f'{row.name[10:]} + GNN + query, {growth.num_keyframes:,}', row.samples_ms + graph_ms
        )
        for row in encoders
        if row.name in {f'patches + {name}' for name in _NAMES.values()}
    ]


def _sample(
    encoder: Encoder, images: Sequence[tuple[Frame, Features]], only_cut: bool = False
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    call = encoder.cut if only_cut else encoder.embed
    turns = [images[index % len(images)] for index in range(_NUM_WARM_UP + _NUM_SAMPLES)]
    samples_ms = [
        measure(partial(call, frame.image, features, frame.depth_m)) for frame, features in turns
    ]
    return np.array(samples_ms[_NUM_WARM_UP:])
