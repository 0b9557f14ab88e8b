"""A retrieval experiment: what is asked, in which database, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.overlap import overlap_counts
from s3e_gnn_ros.data.overlap_views import depth_view
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.evaluation.retrieval_degradations import Variant, degrade
from s3e_gnn_ros.evaluation.retrieval_images import replace_images
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relevance import (
    NEGATIVE,
    add_distractors,
    bar_where,
    overlap_relevance,
    rotations_deg,
    view_angles_deg,
)
from s3e_gnn_ros.evaluation.retrieval_truth import protocol_overlap


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of the pairs where poses and depth are.

    Attributes:
        overlap: (N, N) directed, by which pairs are judged.
        iou: (N, N) symmetric, what similarity is trained to be.
        rotation_deg: (N, N) angle of rotation.
        view_angle_deg: (N, N) angle between the optical axes.
    """

    overlap: NDArray[np.float64]
    iou: NDArray[np.float32]
    rotation_deg: NDArray[np.float64]
    view_angle_deg: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Experiment:
    """Queries against a database of M images and D distractors.

    Attributes:
        name: of the recording.
        queries: Q items as they were recorded.
        database: M items.
        may_match: (Q, M) whether the pair may be matched at all, by order or by group.
        relevance: (Q, M) before any variant.
        distractors: D items that are wrong everywhere.
        truth: where poses and depth are known; queries and database are the same items then.
    """

    name: str
    queries: list[Item]
    database: list[Item]
    may_match: NDArray[np.bool_]
    relevance: NDArray[np.int8]
    distractors: list[Item] = field(default_factory=list)
    truth: Truth | None = None

    def database_in(self, variant: Variant) -> list[Item]:
        """Return what a variant's queries are compared with: M images, or M + D with ``dis``."""
        return self.database + self.distractors if variant.has_distractors else self.database

    def relevance_in(self, variant: Variant) -> NDArray[np.int8]:
        """Return the relevance (Q, N) of :meth:`database_in`, with the variant's bars."""
        relevance = self.relevance
        if variant.min_rotation_deg > 0 and self.truth is not None:
            is_barred = self.truth.rotation_deg < variant.min_rotation_deg
            relevance = bar_where(relevance, is_barred)
        return self._with_distractors(relevance, variant)

    def revisits(
        self, variant: Variant, min_overlap: float, low: float, high: float
    ) -> NDArray[np.int8]:
        """Return (Q, N) in which only matches seen from ``low`` to ``high`` deg are right.

        The columns are those of :meth:`database_in`.

        Args:
            variant: bars and distractors.
            min_overlap: a pair is right from this overlap on, in both directions.
            low: least angle between the optical axes [deg].
            high: from this angle on they belong to the next bin [deg].
        """
        assert self.truth is not None  # the caller has asked
        angle = self.truth.view_angle_deg
        relevance = overlap_relevance(self.truth.overlap, min_overlap)
        is_elsewhere = (relevance != NEGATIVE) & ((angle < low) | (angle >= high))
        is_barred = is_elsewhere | ~self.may_match
        if variant.min_rotation_deg > 0:
            is_barred |= self.truth.rotation_deg < variant.min_rotation_deg
        return self._with_distractors(bar_where(relevance, is_barred), variant)

    def degraded_queries(
        self, degradations: tuple[str, ...], seed: int, extractor: OrbExtractor
    ) -> list[Item]:
        """Return the queries as the variant shows them."""
        if not degradations:
            return self.queries
        return replace_images(
            self.queries, lambda item: degrade(item, degradations, seed), extractor
        )

    def _with_distractors(self, relevance: NDArray[np.int8], variant: Variant) -> NDArray[np.int8]:
        if not variant.has_distractors:
            return relevance
        return add_distractors(relevance, len(self.distractors))


def true_pairs(items: Sequence[Item]) -> Truth:
    """Compute overlaps and angles of keyframes with pose and depth."""
    views = [depth_view(item.frame) for item in items]
    poses = np.array([view.T_world_camera for view in views])
    return Truth(
        overlap=protocol_overlap(views),
        iou=overlap_counts(views).symmetric,
        rotation_deg=rotations_deg(poses),
        view_angle_deg=view_angles_deg(poses),
    )
