"""The story of two keyframes for programs: figures and limits, ready for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from s3e_gnn_ros.evaluation.explanation_sentences import search_sentence, verification_sentence
from s3e_gnn_ros.evaluation.explanation_text import verdict
from s3e_gnn_ros.loop_closure.explanation import Explanation
from s3e_gnn_ros.loop_closure.measurements import Direction
from s3e_gnn_ros.loop_closure.moment import Ending, SearchStory
from s3e_gnn_ros.map_store.pair_story import BackEnd, PairStory
from s3e_gnn_ros.types import KeyframeKey


def story_dict(story: PairStory) -> dict[str, Any]:
    """Return the whole story.

    What was not measured, because a test before it failed, is None.
    """
    explanation = story.explanation
    views = {'query': explanation.query_view, 'match': explanation.match_view}
    keys = {'query': explanation.query, 'match': explanation.match}
    then = explanation.then
    return {
        **{
            name: {
                **_key(keys[name]),
                'stamp_ns': int(view.stamp_ns),
                'features': len(view.features),
            }
            for name, view in views.items()
        },
        'verdict': verdict(story),
        **_ending(explanation.ending),
        'then': None if then is None else _search(explanation, then),
        'now': _search(explanation, explanation.now),
        'verification': _verification(explanation),
        'back_end': None if story.back_end is None else _back_end(story.back_end),
        'limits': {
            'retrieval': asdict(explanation.config.retrieval),
            'verification': asdict(explanation.config.verification),
        },
    }


def _key(key: KeyframeKey) -> dict[str, int]:
    return {'session': int(key.session), 'id': int(key.keyframe_id)}


def _ending(ending: Ending) -> dict[str, Any]:
    status = ending.status
    return {'stage': ending.stage.value, 'status': None if status is None else status.name}


def _search(explanation: Explanation, search: SearchStory) -> dict[str, Any]:
    return {
        'keyframes': search.num_keyframes,
        'eligible': search.num_eligible,
        'similarity': search.similarity,
        'raw_similarity': search.raw,
        'rank': search.rank,
        'exclusion': {
            **asdict(search.exclusion),
            'is_excluded': search.exclusion.is_excluded,
        },
        'predecessor': None if search.predecessor is None else _key(search.predecessor),
        'nss': search.nss,
        'previous': None if search.previous is None else [_key(key) for key in search.previous],
        'distance_to_previous': search.distance,
        'candidates': [
            {
                'session': int(each.session),
                'id': int(each.keyframe_id),
                'similarity': each.similarity,
            }
            for each in search.candidates
        ],
        'query_status': search.status.name,
        'ending': None if search.ending is None else _ending(search.ending),
        'sentence': search_sentence(explanation, search),
    }


def _verification(explanation: Explanation) -> dict[str, Any]:
    found = explanation.verification
    measured = found.measured
    depth = {
        name: None if each is None else asdict(each)
        for name, each in (
            ('forward', measured.depth_forward),
            ('backward', measured.depth_backward),
        )
    }
    return {
        'status': found.status.name,
        'sentence': verification_sentence(explanation),
        'matches': len(found.matches),
        'orb_matches': measured.num_orb,
        'learned_matches': measured.num_learned,
        'inliers': int(measured.is_inlier(len(found.matches)).sum()),
        'forward': _direction(measured.forward),
        'backward': _direction(measured.backward),
        'disagreement_m': measured.disagreement_m,
        'disagreement_deg': measured.disagreement_deg,
        'alignment_m': measured.alignment_m,
        'alignment_deg': measured.alignment_deg,
        'depth': depth,
        'sigma_m': measured.sigma_m,
        'sigma_deg': measured.sigma_deg,
        'T_match_query': None if found.T_match_query is None else found.T_match_query.tolist(),
    }


def _direction(found: Direction) -> dict[str, Any]:
    return {
        'landmarks': found.num_landmarks,
        'inliers': found.num_inliers,
        'inlier_ratio': found.inlier_ratio,
        'area': found.area,
    }


def _back_end(found: BackEnd) -> dict[str, Any]:
    closure = found.closure
    return {
        'query': {'session': int(closure.query_session), 'id': int(closure.query_id)},
        'match': {'session': int(closure.match_session), 'id': int(closure.match_id)},
        'similarity': closure.similarity,
        'inliers': closure.num_inliers,
        'inlier_ratio': closure.inlier_ratio,
        'weight': found.weight,
        'chi2': found.chi2,
        'solved_anew': None if found.report is None else asdict(found.report),
    }
