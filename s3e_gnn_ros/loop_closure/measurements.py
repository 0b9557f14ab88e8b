"""What the tests of a verification have measured, for who asks why it ended as it did."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.loop_closure.depth_alignment import DepthAgreement


@dataclass(eq=False)
class Direction:
    """PnP of one camera with the landmarks of the other; None: it did not come to that.

    Attributes:
        num_landmarks: matches whose landmark is known.
        is_inlier: (P,) mask of the matches that agree with the pose found.
        area: share of the image that they span, in [0, 1].
    """

    num_landmarks: int | None = None
    is_inlier: NDArray[np.bool_] | None = None
    area: float | None = None

    @property
    def num_inliers(self) -> int | None:
        """Matches that agree with the pose found."""
        return None if self.is_inlier is None else int(self.is_inlier.sum())

    @property
    def inlier_ratio(self) -> float | None:
        """The same over the matches whose landmark is known."""
        if self.is_inlier is None or not self.num_landmarks:
            return None
        return int(self.is_inlier.sum()) / self.num_landmarks


@dataclass(eq=False)
class Measurements:
    """What each test found before it passed or failed; None: it did not come to that.

    Attributes:
        num_orb: matches of ORB descriptors.
        num_learned: matches of the encoder's descriptors that came to them.
        forward: the query located by the match's landmarks.
        backward: the match located by the query's landmarks.
        disagreement_m: distance between the two poses.
        disagreement_deg: rotation between the two poses.
        alignment_m: how far the alignment of the depth images moved the pose.
        alignment_deg: likewise its rotation.
        depth_forward: the query's depth in the match's depth image.
        depth_backward: the match's depth in the query's.
        sigma_m: largest standard deviation of the translation.
        sigma_deg: largest standard deviation of the rotation.
    """

    num_orb: int | None = None
    num_learned: int | None = None
    forward: Direction = field(default_factory=Direction)
    backward: Direction = field(default_factory=Direction)
    disagreement_m: float | None = None
    disagreement_deg: float | None = None
    alignment_m: float | None = None
    alignment_deg: float | None = None
    depth_forward: DepthAgreement | None = None
    depth_backward: DepthAgreement | None = None
    sigma_m: float | None = None
    sigma_deg: float | None = None

    def is_inlier(self, num_matches: int) -> NDArray[np.bool_]:
        """Return the mask (P,) of the matches that either direction agrees with, so far."""
        out = np.zeros(num_matches, dtype=bool)
        for direction in (self.forward, self.backward):
            if direction.is_inlier is not None and len(direction.is_inlier) == num_matches:
                out |= direction.is_inlier
        return out
