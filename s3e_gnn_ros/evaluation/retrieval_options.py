"""What an evaluation of retrieval is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.evaluation.retrieval_labels import Nearness
from s3e_gnn_ros.evaluation.retrieval_relevance import MIN_GAP

BASELINE = 'bow'


@dataclass(frozen=True)
class RetrievalOptions:
    """Settings of an evaluation; the defaults are the protocol of the RedKitchen figures.

    Attributes:
        methods: names of the methods, see ``retrieval_methods``.
        variants: names of the variants.
        num_seeds: how often each random degradation is drawn.
        num_bootstrap: draws of the block bootstrap.
        min_gap: query i may match only keyframes j <= i - min_gap of its own recording.
        labels: places of the images where there are no poses.
        database: folder of images that the queries are compared with, in place of their own.
        distractors: folders of images that are wrong everywhere.
        nearness: when two positions of the labels are the same place.
        verify: whether the best candidates are verified, too.
        relocalise_every: every n-th frame of the second half is located in the first; 0: none.

    Raises:
        ConfigError: a number is out of range, or a list is empty.
    """

    methods: tuple[str, ...] = ('s3e', BASELINE)
    variants: tuple[str, ...] = ('plain',)
    num_seeds: int = 3
    num_bootstrap: int = 1000
    min_gap: int = MIN_GAP
    labels: Path | None = None
    database: Path | None = None
    distractors: tuple[Path, ...] = ()
    nearness: Nearness = field(default_factory=Nearness)
    verify: bool = True
    relocalise_every: int = 0

    def __post_init__(self) -> None:
        """Check the ranges before minutes are spent."""
        minima = {'num_seeds': 1, 'num_bootstrap': 0, 'min_gap': 1, 'relocalise_every': 0}
        for name, minimum in minima.items():
            if getattr(self, name) < minimum:
                raise ConfigError(f'{name} is {getattr(self, name)} instead of at least {minimum}')
        for name in ('methods', 'variants'):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ConfigError(f'{name} are {list(values)} instead of different names')
        if any('dis' in name.split('+') for name in self.variants) and not self.distractors:
            raise ConfigError("a variant with 'dis' needs folders of distractors")
