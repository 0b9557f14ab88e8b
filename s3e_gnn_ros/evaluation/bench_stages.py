"""Run time of each stage of the pipeline on a short drive."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.evaluation.bench_timing import Timing
from s3e_gnn_ros.evaluation.replay import replay_offline
from s3e_gnn_ros.evaluation.result import ReplayResult
from s3e_gnn_ros.types import Frame, LoopQuery

STAGES = ('features', 'retrieval', 'verification', 'insertion', 'optimisation')
_NUM_WARM_UP = 3


def there_and_back(frames: Sequence[Frame]) -> list[Frame]:
    """Make a drive that comes back to where it was out of one that does not.

    Every second frame is driven forwards, then those in between backwards: each place is seen
    again from half a step aside, with noise of its own. Stamps go on at the same pace.

    Args:
        frames: in order of their stamps.
    """
    route = [*frames[::2], *frames[1::2][::-1]]
    if len(frames) < 2:
        return route
    start_ns, pace_ns = frames[0].stamp_ns, 2 * (frames[1].stamp_ns - frames[0].stamp_ns)
    return [
        dataclasses.replace(frame, stamp_ns=start_ns + index * pace_ns)
        for index, frame in enumerate(route)
    ]


def time_stages(frames: Sequence[Frame], config: Config) -> tuple[list[Timing], Counter[str]]:
    """Run loop closure and pose graph over frames.

    Args:
        frames: with odometry, in order of their stamps.
        config: all settings.

    Returns:
        One timing for each stage that ran, over the keyframes that reached it, one for
        verification per candidate, and one for the whole of a keyframe; and what became of the
        queries, by status, and how many closures there are, as ``closures``.

    Raises:
        RecordingError: no frame has an odometry pose.
        InputError: the vocabulary cannot be read, or a frame cannot be used.
    """
    _replay(frames[:_NUM_WARM_UP], config)  # the first calls of every library are slow
    result = _replay(frames, config)
    timings = [
        Timing(stage, np.array(result.stage_ms[stage]))
        for stage in STAGES
        if result.stage_ms.get(stage)
    ]
    timings += _per_candidate(result.queries, config.retrieval.min_similarity)
    optimisation_ms = np.array(result.stage_ms['optimisation'])
    searching_ms = np.array([sum(query.stage_ms.values()) for query in result.queries])
    timings.append(Timing('whole keyframe', searching_ms + optimisation_ms))
    outcome = Counter(query.status.name for query in result.queries)
    outcome['closures'] = len(result.closures)
    return timings, outcome


def _per_candidate(queries: Sequence[LoopQuery], min_similarity: float) -> list[Timing]:
    """Share the time of verification out among the candidates of each query."""
    samples_ms = [
        query.stage_ms['verification']
        / sum(candidate.similarity >= min_similarity for candidate in query.candidates)
        for query in queries
        if 'verification' in query.stage_ms
    ]
    return [Timing('verification, per candidate', np.array(samples_ms))] if samples_ms else []


def _replay(frames: Sequence[Frame], config: Config) -> ReplayResult:
    return replay_offline('bench', frames, config, None, Counter(), [])
