"""Which weights a map's embeddings are made with."""

from __future__ import annotations

from s3e_gnn_ros.config import RetrievalConfig


def weights_of(config: RetrievalConfig) -> tuple[str, str]:
    """Return digest and name of the weights that a method of retrieval goes by.

    Returns:
        For ``MapStore.create`` and ``check_weights``; both empty for bag of words.

    Raises:
        InputError: there are no such weights, or they are none of this package.
    """
    if config.method != 's3e':
        return '', ''
    # With torch: not for those who only look.
    from s3e_gnn_ros.encoder.weights import DEFAULT_WEIGHTS, weights_digest

    return weights_digest(config.weights), config.weights or DEFAULT_WEIGHTS
