"""Chooses the retrieval method by its name in the configuration."""

from __future__ import annotations

from s3e_gnn_ros.config import RetrievalConfig
from s3e_gnn_ros.retrieval.bow import BagOfWords
from s3e_gnn_ros.retrieval.interface import Retrieval
from s3e_gnn_ros.retrieval.vocabulary_file import load_vocabulary


def make_retrieval(config: RetrievalConfig) -> Retrieval:
    """Make an empty database of the configured method.

    Raises:
        InputError: its vocabulary cannot be read.
    """
    assert config.method == 'bow'  # the configuration has refused every other name
    return BagOfWords(load_vocabulary(config.vocabulary))
