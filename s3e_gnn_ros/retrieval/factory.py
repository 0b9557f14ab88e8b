"""Chooses the retrieval method by its name in the configuration."""

from __future__ import annotations

from s3e_gnn_ros.config import RetrievalConfig
from s3e_gnn_ros.retrieval.interface import Retrieval


def make_retrieval(config: RetrievalConfig) -> Retrieval:
    """Make an empty database of the configured method.

    Raises:
        InputError: its weights or vocabulary cannot be read.
    """
    # Only the chosen method is imported: bag of words needs no torch.
    if config.method == 's3e':
        from s3e_gnn_ros.encoder.weights import load_weights
        from s3e_gnn_ros.retrieval.s3e import S3E

        return S3E(load_weights(config.weights), config.use_gnn)
    assert config.method == 'bow'  # the configuration has refused every other name
    from s3e_gnn_ros.retrieval.bow import BagOfWords
    from s3e_gnn_ros.retrieval.vocabulary_file import load_vocabulary

    return BagOfWords(load_vocabulary(config.vocabulary))
