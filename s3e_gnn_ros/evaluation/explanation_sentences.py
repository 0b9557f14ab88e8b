"""One sentence with the figures for each way in which the story of two keyframes can end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from s3e_gnn_ros.loop_closure.explanation import Explanation
from s3e_gnn_ros.loop_closure.measurements import Direction
from s3e_gnn_ros.loop_closure.moment import SearchStory, Stage
from s3e_gnn_ros.types import KeyframeKey, Status

_Sentence = Callable[[Explanation], str]


def ending_sentence(explanation: Explanation) -> str:
    """Say what ended the pair's way through the detector, or that it became a loop."""
    ending = explanation.ending
    if ending.stage in (Stage.VERIFICATION, Stage.LOOP):
        return verification_sentence(explanation)
    if ending.stage is Stage.ORDER:
        return (
            f'{name_of(explanation.match)} came after {name_of(explanation.query)}, which could '
            'not find it: the detector was asked the other way round'
        )
    limits = explanation.config.verification
    if ending.stage is Stage.MATCHES:
        return (
            f'{explanation.num_more_matched} candidates have more feature matches: only the best '
            f'{limits.max_candidates} are verified (verification.max_candidates)'
        )
    if ending.stage is Stage.MAX_CLOSURES:
        return (
            f'{explanation.num_better_loops} better candidates became loops before it '
            f'(verification.max_closures {limits.max_closures})'
        )
    assert explanation.then is not None  # all other endings are of the search at the time
    return search_sentence(explanation, explanation.then)


def search_sentence(explanation: Explanation, search: SearchStory) -> str:
    """Say what ended the pair's way in a search, or that it was worth verifying."""
    if search.ending is None:
        return 'a candidate: worth verifying'
    retrieval, query = explanation.config.retrieval, explanation.query_view
    return {
        Stage.FEATURES: (
            f'the query has {len(query.features)} features, too few to search with '
            f'(verification.min_matches {explanation.config.verification.min_matches})'
        ),
        Stage.EXCLUSION: _exclusion_sentence(explanation, search),
        Stage.SIMILARITY: 'similarity 0: retrieval sees nothing that the two have in common',
        Stage.RANK: (
            f'rank {search.rank} of {search.num_eligible}: only the best '
            f'{retrieval.max_candidates} are candidates (retrieval.max_candidates)'
        ),
        Stage.NSS: (
            f'the query has similarity {search.nss:.3g} to its own predecessor, so that its '
            f'scores mean nothing (retrieval.min_nss_factor {retrieval.min_nss_factor:g})'
        ),
        Stage.SCORE: (
            f'similarity {search.similarity:.3g} is too low '
            f'(retrieval.min_similarity {retrieval.min_similarity:g})'
        ),
        Stage.CONSISTENCY: _consistency_sentence(explanation, search),
    }[search.ending.stage]


def verification_sentence(explanation: Explanation) -> str:
    """Say how the verification of the pair ended."""
    return _BY_STATUS[explanation.verification.status](explanation)


def name_of(key: KeyframeKey) -> str:
    """Return a keyframe's name."""
    return f'keyframe {key.keyframe_id} of session {key.session}'


def _exclusion_sentence(explanation: Explanation, search: SearchStory) -> str:
    retrieval, found = explanation.config.retrieval, search.exclusion
    reasons = []
    if found.is_too_near:
        reasons.append(
            f'{found.gap} keyframes apart, not more than {retrieval.min_keyframe_gap} '
            '(retrieval.min_keyframe_gap)'
        )
    if found.is_too_recent:
        reasons.append(
            f'{found.elapsed_s:.2f} s apart, less than {retrieval.min_time_gap_s:g} s '
            '(retrieval.min_time_gap_s)'
        )
    return 'excluded, of one session and ' + ', and '.join(reasons)


def _consistency_sentence(explanation: Explanation, search: SearchStory) -> str:
    window = explanation.config.retrieval.consistency_window
    if search.distance is None:
        return (
            'the query before had no candidates to be consistent with '
            f'(retrieval.consistency_window {window})'
        )
    return (
        f'no candidate is near one of the query before: the nearest is {search.distance} entries '
        f'away (retrieval.consistency_window {window})'
    )


def _too_few_matches(explanation: Explanation) -> str:
    found, limits = explanation.verification, explanation.config.verification
    return (
        f'{len(found.matches)} descriptor matches ({found.measured.num_orb or 0} ORB, '
        f'{found.measured.num_learned or 0} learned) are too few '
        f'(verification.min_matches {limits.min_matches})'
    )


def _no_landmarks(explanation: Explanation) -> str:
    found, limits = explanation.verification, explanation.config.verification
    forward, backward = found.measured.forward, found.measured.backward
    return (
        f'of {len(found.matches)} matches {forward.num_landmarks} have a landmark of the match '
        f'and {backward.num_landmarks} one of the query: either needs '
        f'{limits.min_inliers} (verification.min_inliers)'
    )


def _no_pose(explanation: Explanation) -> str:
    found, limits = explanation.verification, explanation.config.verification
    return (
        f'no pose explains the {len(found.matches)} matches to '
        f'{limits.max_reprojection_error_px:g} px (verification.max_reprojection_error_px)'
    )


def _too_few_inliers(explanation: Explanation) -> str:
    way, found = _last_direction(explanation)
    return (
        f'{way}: {found.num_inliers} of {found.num_landmarks} matches agree with a pose, too few '
        f'(verification.min_inliers {explanation.config.verification.min_inliers})'
    )


def _low_inlier_ratio(explanation: Explanation) -> str:
    way, found = _last_direction(explanation)
    return (
        f'{way}: {found.num_inliers} of {found.num_landmarks} matches agree with a pose, a share '
        f'of {found.inlier_ratio:.2f} '
        f'(verification.min_inlier_ratio {explanation.config.verification.min_inlier_ratio:g})'
    )


def _too_concentrated(explanation: Explanation) -> str:
    way, found = _last_direction(explanation)
    return (
        f'{way}: the {found.num_inliers} matches that agree span {found.area or 0:.4f} of the '
        f'image (verification.min_inlier_area {explanation.config.verification.min_inlier_area:g})'
    )


def _directions_disagree(explanation: Explanation) -> str:
    found, limits = explanation.verification.measured, explanation.config.verification
    return (
        f'the poses forward and backward are {found.disagreement_m:.3f} m and '
        f'{found.disagreement_deg:.1f} deg apart (verification.max_disagreement_m '
        f'{limits.max_disagreement_m:g}, _deg {limits.max_disagreement_deg:g})'
    )


def _depth_disagrees(explanation: Explanation) -> str:
    found, limits = explanation.verification.measured, explanation.config.verification
    if found.depth_forward is None or found.depth_backward is None:
        return (
            f'aligning the depth images moves the pose by {found.alignment_m or 0:.3f} m and '
            f'{found.alignment_deg or 0:.1f} deg (verification.max_disagreement_m '
            f'{limits.max_disagreement_m:g}, _deg {limits.max_disagreement_deg:g})'
        )
    ways = found.depth_forward, found.depth_backward
    return (
        'the depth images contradict each other: '
        f'{ways[0].overlap:.2f} and {ways[1].overlap:.2f} of them overlap '
        f'(verification.min_depth_overlap {limits.min_depth_overlap:g}), of that '
        f'{ways[0].agreement:.2f} and {ways[1].agreement:.2f} agree '
        f'(verification.min_depth_agreement {limits.min_depth_agreement:g})'
    )


def _uncertain(explanation: Explanation) -> str:
    found, limits = explanation.verification.measured, explanation.config.verification
    if found.sigma_m is None or found.sigma_deg is None:
        return 'nothing tells about one direction of the pose: it has no covariance'
    return (
        f'the pose is uncertain by {found.sigma_m:.3f} m and {found.sigma_deg:.2f} deg '
        f'(verification.max_sigma_m {limits.max_sigma_m:g}, _deg {limits.max_sigma_deg:g})'
    )


def _verified(explanation: Explanation) -> str:
    found = explanation.verification
    return (
        f'verified: {found.num_inliers} of {len(found.matches)} matches agree, the pose is '
        f'certain to {found.measured.sigma_m:.3f} m and {found.measured.sigma_deg:.2f} deg'
    )


def _last_direction(explanation: Explanation) -> tuple[str, Direction]:
    """Return the direction that failed: the last one that was tried."""
    found = explanation.verification.measured
    if found.backward.is_inlier is not None:
        return 'backward', found.backward
    return 'forward', found.forward


_BY_STATUS: Mapping[Status, _Sentence] = MappingProxyType(
    {
        Status.LOOP_DETECTED: _verified,
        Status.TOO_FEW_MATCHES: _too_few_matches,
        Status.NO_LANDMARKS: _no_landmarks,
        Status.NO_GEOMETRICAL_CONSISTENCY: _no_pose,
        Status.TOO_FEW_INLIERS: _too_few_inliers,
        Status.LOW_INLIER_RATIO: _low_inlier_ratio,
        Status.INLIERS_TOO_CONCENTRATED: _too_concentrated,
        Status.FORWARD_BACKWARD_DISAGREE: _directions_disagree,
        Status.DEPTH_DISAGREES: _depth_disagrees,
        Status.UNCERTAIN_POSE: _uncertain,
    }
)
