"""Embeddings anew, of the stored thumbnails: for a map that was made with other weights."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.view import View, patch_descriptors
from s3e_gnn_ros.map_store.encoding_rows import (
    change_weights,
    find_weights,
    insert_encoding,
    keys_without,
)
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.values import find_seq
from s3e_gnn_ros.types import Encoding


def reembed(
    store: MapStore,
    encoder: Encoder,
    weights_digest: str,
    weights_name: str = '',
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Embed all keyframes of a map again and let it change to the new weights.

    Each keyframe is one transaction, beside what the old weights made, which the map goes by until
    all are done: an interrupted run loses nothing and goes on where it ended.

    Args:
        store: open for writing.
        encoder: of the new weights.
        weights_digest: of the new weights.
        weights_name: of the new weights, for messages.
        progress: called with the number of keyframes done and of all.

    Returns:
        How many keyframes were embedded.

    Raises:
        InputError: a keyframe has no thumbnail, or the map cannot be written.
    """
    with store.database.transaction() as connection:
        weights = find_weights(connection, weights_digest, weights_name)
        keys = keys_without(connection, weights)
    for done, key in enumerate(keys):
        thumbnail = store.thumbnail(key)
        if thumbnail is None:
            raise InputError(
                f"map '{store.path}' cannot be re-embedded: keyframe {key.session}/"
                f'{key.keyframe_id} has no thumbnail'
            )
        encoding = embed_thumbnail(encoder, store.view(key), thumbnail)
        patches = patch_descriptors(encoding)
        with store.database.transaction() as connection:
            seq = find_seq(connection, key)
            if seq is not None:  # else it was removed meanwhile
                insert_encoding(connection, seq, weights, encoding.embedding, patches)
        if progress is not None:
            progress(done + 1, len(keys))
    with store.database.transaction() as connection:
        change_weights(connection, weights)
    store.refresh()
    return len(keys)


def embed_thumbnail(encoder: Encoder, view: View, thumbnail: NDArray[np.uint8]) -> Encoding:
    """Embed a thumbnail (h, w) at the keypoints of the image it was made of.

    It is enlarged to that image's size: the encoder then chooses the same keypoints. With the
    keypoints shrunk instead, others fall into its classes of scale, and the embedding moves ten
    times as far.
    """
    size = view.camera.width, view.camera.height
    image = np.asarray(cv2.resize(thumbnail, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    depth_m = None
    if view.depth is not None:
        # The nearest: an average would invent surfaces at depth edges.
        resized = cv2.resize(view.depth.depth_m, size, interpolation=cv2.INTER_NEAREST)
        depth_m = np.asarray(resized, np.float32)
    return encoder.embed(image, view.features, depth_m)
