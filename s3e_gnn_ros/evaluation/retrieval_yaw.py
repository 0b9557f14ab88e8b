"""Recall by the difference of heading between a query and what it should find."""

from __future__ import annotations

from dataclasses import dataclass, field

EDGES_DEG = (0, 30, 60, 90, 120, 150, 181)
MIN_OVERLAP = 0.1
"""A turned view shares less: in the table of headings, this much in both directions."""


@dataclass(frozen=True)
class YawRow:
    """Recall at full precision of matches seen from one range of directions.

    Attributes:
        low_deg: least angle between the optical axes.
        high_deg: its end.
        num_with_positive: queries with such a match.
        recall: by method, of retrieval alone; NaN where no query has such a match.
        recall_verified: by method, with the best candidates verified; empty without that.
    """

    low_deg: int
    high_deg: int
    num_with_positive: int
    recall: dict[str, float]
    recall_verified: dict[str, float] = field(default_factory=dict)
