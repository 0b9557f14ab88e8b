"""The story of two keyframes for people: one line per test, with its figure and its limit."""

from __future__ import annotations

from s3e_gnn_ros.evaluation.explanation_sentences import (
    ending_sentence,
    name_of,
    search_sentence,
    verification_sentence,
)
from s3e_gnn_ros.loop_closure.depth_alignment import DepthAgreement
from s3e_gnn_ros.loop_closure.explanation import Explanation
from s3e_gnn_ros.loop_closure.measurements import Direction
from s3e_gnn_ros.loop_closure.moment import SearchStory, Stage
from s3e_gnn_ros.map_store.pair_story import BackEnd, PairStory
from s3e_gnn_ros.pose_graph.closure_report import ClosureReport

_WIDTH = 15
_NOT_TRIED = 'not tried'


def story_text(story: PairStory) -> str:
    """Return the whole story, a line per test under a headline per step, and the verdict."""
    explanation = story.explanation
    then = explanation.then
    lines = [*_head(explanation), '']
    if then is None:
        lines += ['When the query came', _line('', ending_sentence(explanation))]
    else:
        lines += [f'When the query came, among {then.num_keyframes} older keyframes']
        lines += _search_lines(explanation, then)
    now = explanation.now
    lines += ['', f'Now, among all {now.num_keyframes} other keyframes']
    lines += _search_lines(explanation, now)
    lines += ['', 'Verification of the pair']
    lines += _verification_lines(explanation)
    lines += ['', 'Back end']
    lines += _back_end_lines(story.back_end)
    lines += ['', f'Verdict: {verdict(story)}']
    return '\n'.join(lines)


def verdict(story: PairStory) -> str:
    """Return in one sentence what became of the pair, and why."""
    sentence = ending_sentence(story.explanation)
    status = story.explanation.ending.status
    if status is not None:
        sentence = f'{status.name}: {sentence}'
    found = story.back_end
    if found is None:
        is_loop = story.explanation.ending.stage is Stage.LOOP
        return f'{sentence}; the map holds no closure of it' if is_loop else sentence
    return f'{sentence}; {_place_in_graph(found)}'


def _place_in_graph(found: BackEnd) -> str:
    report, weight = found.report, found.weight
    if report is not None and report.is_removed:
        return 'its closure was taken out of the pose graph by hand'
    if weight is None and report is not None:
        weight = report.weight
    if weight is None:
        return 'the map holds its closure'
    if weight == 0:
        return 'its closure is not in the pose graph: it contradicts the others'
    return f'its closure is in the pose graph with weight {weight:.2f}'


def _head(explanation: Explanation) -> list[str]:
    views = explanation.query_view, explanation.match_view
    elapsed_s = (views[0].stamp_ns - views[1].stamp_ns) / 1e9
    return [
        _line('query', f'{name_of(explanation.query)}, {len(views[0].features)} features', 0),
        _line(
            'match',
            f'{name_of(explanation.match)}, {len(views[1].features)} features, '
            f'{abs(elapsed_s):.2f} s {"earlier" if elapsed_s >= 0 else "later"}',
            0,
        ),
    ]


def _search_lines(explanation: Explanation, search: SearchStory) -> list[str]:
    limits = explanation.config.retrieval
    rank = (
        'excluded' if search.rank is None else f'{search.rank} of {search.num_eligible} eligible'
    )
    candidates = ', '.join(
        f'{each.session}/{each.keyframe_id} {each.similarity:.3f}' for each in search.candidates
    )
    predecessor = 'no predecessor'
    if search.predecessor is not None:
        predecessor = f'similarity {search.nss:.3f} to {name_of(search.predecessor)}'
    return [
        _line(
            'similarity',
            f'{search.similarity:.3f} (raw {search.raw:.4g}), least {limits.min_similarity:g}',
        ),
        _line('rank', f'{rank}; {limits.max_candidates} are candidates'),
        _line('exclusion', _exclusion(explanation, search)),
        _line('nss', f'{predecessor}, least {limits.min_nss_factor:g}'),
        _line('consistency', _consistency(explanation, search)),
        _line('candidates', candidates or 'none'),
        _line('->', search_sentence(explanation, search)),
    ]


def _exclusion(explanation: Explanation, search: SearchStory) -> str:
    limits, found = explanation.config.retrieval, search.exclusion
    if not found.is_same_session:
        return 'none between sessions'
    return (
        f'{"yes" if found.is_excluded else "no"}: {found.gap} keyframes apart (more than '
        f'{limits.min_keyframe_gap}), {found.elapsed_s:.2f} s (at least '
        f'{limits.min_time_gap_s:g} s)'
    )


def _consistency(explanation: Explanation, search: SearchStory) -> str:
    window = explanation.config.retrieval.consistency_window
    if window == 0:
        return 'not asked for (window 0)'
    if search.distance is None:
        return f'no candidates to compare (window {window})'
    return f'{search.distance} entries from the candidates of the query before (window {window})'


def _verification_lines(explanation: Explanation) -> list[str]:
    limits = explanation.config.verification
    found = explanation.verification
    measured = found.measured
    learned = '' if measured.num_learned is None else f', {measured.num_learned} learned patches'
    return [
        _line(
            'matches',
            f'{len(found.matches)}: {measured.num_orb or 0} ORB{learned}; '
            f'least {limits.min_matches}',
        ),
        _line('forward', _direction(explanation, measured.forward)),
        _line('backward', _direction(explanation, measured.backward)),
        _line(
            'agreement',
            _apart(
                (measured.disagreement_m, measured.disagreement_deg),
                (limits.max_disagreement_m, limits.max_disagreement_deg),
                'forward and backward',
            ),
        ),
        _line(
            'alignment',
            _apart(
                (measured.alignment_m, measured.alignment_deg),
                (limits.max_disagreement_m, limits.max_disagreement_deg),
                'before and after aligning depth',
            ),
        ),
        _line('depth', _depth(explanation, measured.depth_forward, 'query in match')),
        _line('', _depth(explanation, measured.depth_backward, 'match in query')),
        _line(
            'sigmas',
            _pair_of_limits(
                (measured.sigma_m, measured.sigma_deg), (limits.max_sigma_m, limits.max_sigma_deg)
            ),
        ),
        _line('->', f'{found.status.name}: {verification_sentence(explanation)}'),
    ]


def _direction(explanation: Explanation, found: Direction) -> str:
    limits = explanation.config.verification
    if found.num_landmarks is None:
        return _NOT_TRIED
    tried = f'{found.num_landmarks} matches with landmark'
    if found.num_landmarks < limits.min_inliers:
        return f'{tried}, too few to try (least {limits.min_inliers})'
    if found.num_inliers is None or found.inlier_ratio is None:
        return f'{tried}, no pose'
    area = (
        '' if found.area is None else f', area {found.area:.3f} (least {limits.min_inlier_area:g})'
    )
    return (
        f'{found.num_inliers} inliers (least {limits.min_inliers}) of {tried}, ratio '
        f'{found.inlier_ratio:.2f} (least {limits.min_inlier_ratio:g}){area}'
    )


def _apart(
    values: tuple[float | None, float | None], limits: tuple[float, float], what: str
) -> str:
    text = _pair_of_limits(values, limits)
    return text if text == _NOT_TRIED else f'{text} between the poses {what}'


def _pair_of_limits(values: tuple[float | None, float | None], limits: tuple[float, float]) -> str:
    if values[0] is None or values[1] is None:
        return _NOT_TRIED
    return (
        f'{values[0]:.3f} m (at most {limits[0]:g}), {values[1]:.2f} deg (at most {limits[1]:g})'
    )


def _depth(explanation: Explanation, found: DepthAgreement | None, what: str) -> str:
    limits = explanation.config.verification
    if found is None:
        return f'{what}: {_NOT_TRIED}'
    return (
        f'{what}: overlap {found.overlap:.2f} (least {limits.min_depth_overlap:g}), agreement '
        f'{found.agreement:.2f} (least {limits.min_depth_agreement:g})'
    )


def _back_end_lines(found: BackEnd | None) -> list[str]:
    if found is None:
        return [_line('closure', 'none between the two')]
    closure = found.closure
    said = 'nothing yet' if found.weight is None else f'{found.weight:.3f}'
    chi2 = 'not known' if found.chi2 is None else f'{found.chi2:.2f} at the poses of the map'
    lines = [
        _line(
            'closure',
            f'{closure.query_session}/{closure.query_id} -> '
            f'{closure.match_session}/{closure.match_id}, similarity {closure.similarity:.3f}, '
            f'{closure.num_inliers} inliers, ratio {closure.inlier_ratio:.2f}',
        ),
        _line('weight', f'{said} (1 as measured, 0 taken out)'),
        _line('chi2', chi2),
    ]
    report = found.report
    return lines + ([] if report is None else _report_lines(report))


def _report_lines(report: ClosureReport) -> list[str]:
    by_hand = [
        text
        for text, applies in (('pinned', report.is_pinned), ('taken out', report.is_removed))
        if applies
    ]
    odometry = 'does not tie the two'
    if report.odometry_chi2 is not None:
        odometry = f'chi2 {report.odometry_chi2:.2f} (at most {report.max_pair_chi2:.1f})'
    gnc = 'has no answer'
    if report.gnc_weight is not None:
        gnc = f'weight {report.gnc_weight:g}'
    return [
        _line(
            'solved anew',
            f'{"in" if report.is_in else "not in"} the graph, weight {report.weight:.3f}, chi2 '
            f'{report.chi2:.2f} (at most {report.max_chi2:.1f})',
        ),
        _line('by hand', ', '.join(by_hand) or 'nothing'),
        _line('odometry', odometry),
        _line(
            'PCM',
            f'consistent with {report.num_consistent} of the {report.num_rings} other closures '
            'that make a ring with it',
        ),
        _line('GNC', gnc),
    ]


def _line(name: str, text: str, indent: int = 2) -> str:
    return f'{"":{indent}}{name:<{_WIDTH - indent}}{text}'.rstrip()
