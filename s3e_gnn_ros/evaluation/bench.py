"""Run time and memory of everything, measured in one go."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import ConfigError, RecordingError
from s3e_gnn_ros.evaluation.bench_back_end import time_back_end
from s3e_gnn_ros.evaluation.bench_graph import GraphGrowth, time_graph, time_large_search
from s3e_gnn_ros.evaluation.bench_learned import one_core, time_encoders, whole_keyframe
from s3e_gnn_ros.evaluation.bench_memory import array_bytes, resident_bytes
from s3e_gnn_ros.evaluation.bench_overlap import overlap_rows
from s3e_gnn_ros.evaluation.bench_pose_graph import time_drive, time_sizes
from s3e_gnn_ros.evaluation.bench_retrieval import Growth, mixtures, time_growth
from s3e_gnn_ros.evaluation.bench_stages import there_and_back, time_stages
from s3e_gnn_ros.evaluation.bench_timing import Timing, measure
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.graph.inference import InferenceGNN
from s3e_gnn_ros.loop_closure.view import make_view
from s3e_gnn_ros.pose_graph.replay import online_update_times
from s3e_gnn_ros.retrieval.vocabulary_file import load_vocabulary
from s3e_gnn_ros.types import Features, Frame, Keyframe

Progress = Callable[[str], None]
"""Called with the name of each part when it begins."""

MIN_FRAMES = 4
_NUM_LOADS = 3
_MIN_LARGE = 20_000
_MIN_POSES = 50
_NUM_ENCODED = 8
_NOTES = (
    'x features: median over the median of the features stage, to compare machines',
    'stages: frames driven forwards, then those in between backwards, so that each place is seen '
    'again from half a step aside; verification: all candidates of a keyframe together',
    'retrieval: each keyframe has as many words as a frame, drawn from those of three frames; one '
    'short drive shares more words than a whole building does, so this is on the slow side',
    'learned method: untrained weights, which take as long as trained ones, on one core; patches: '
    'selection of keypoints and cutting; the map is made up, five laps round one room after the '
    'other; + GNN + query: medians of adding a keyframe, of the query sub-graph and of the query',
    'made-up poses: laps of 100 with a loop at every tenth pose from the second lap on; the graph '
    'is updated after each pose, as it is for recorded ones',
    'callback: keyframe, closure, update, and where it stands, through a check of all closures; '
    'odometry gap: between two corrected poses at 200 Hz meanwhile; the graph in one process with '
    'that, or in its own',
)


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        sizes: numbers of keyframes at which retrieval is measured.
        num_poses: of the made-up drive for the pose graph.
        pose_sizes: numbers of poses at which the pose graph is measured as a whole.
        g2o: recorded pose graphs to optimise online.
        graph_sizes: numbers of keyframes at which the learned map is measured.
        num_large: keyframes, above 100,000, at which the learned map and the approximate search
            alone are measured as well; 0 leaves it out.
        seed: of all that is made up.
        start_bytes: resident memory before any library was loaded, if known.

    Raises:
        ConfigError: a number is out of range.
        RecordingError: a file of ``g2o`` does not exist.
    """

    sizes: tuple[int, ...] = (100, 1_000, 10_000)
    num_poses: int = 1_000
    g2o: tuple[Path, ...] = ()
    graph_sizes: tuple[int, ...] = (100, 1_000, 10_000, 100_000)
    num_large: int = 0
    pose_sizes: tuple[int, ...] = ()
    seed: int = 0
    start_bytes: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges, and the files before minutes are spent on all else."""
        if not self.sizes or min(self.sizes) < 1:
            raise ConfigError(f'keyframes are {list(self.sizes)} instead of at least 1 each')
        if not self.graph_sizes or min(self.graph_sizes) < 1:
            raise ConfigError(
                f'keyframes of the learned map are {list(self.graph_sizes)} instead of at least 1 '
                'each'
            )
        if self.num_large and self.num_large < _MIN_LARGE:
            raise ConfigError(
                f'keyframes of the large search are {self.num_large} instead of at least '
                f'{_MIN_LARGE:,}'
            )
        if min(self.pose_sizes, default=_MIN_POSES) < _MIN_POSES:
            raise ConfigError(
                f'poses are {list(self.pose_sizes)} instead of at least {_MIN_POSES} each'
            )
        if self.num_poses < 1:
            raise ConfigError(f'poses are {self.num_poses} instead of at least 1')
        if self.seed < 0:
            raise ConfigError(f'seed is {self.seed} instead of at least 0')
        for path in self.g2o:
            if not path.is_file():
                raise RecordingError(f"no such pose graph: '{path}'")


def run_bench(
    frames: Iterable[Frame],
    options: BenchOptions,
    config: Config | None = None,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Measure the stages on a drive, and retrieval and pose graph as they grow.

    Args:
        frames: a short drive with odometry, 4 frames at least; taken when they are needed.
        options: what else to measure.
        config: all settings; the defaults when None.
        progress: told about each part.

    Returns:
        ``machine``; ``stages``, ``learned``, ``retrieval`` and ``others``, lists of timings with
        ``name, count, p50_ms, p95_ms, max_ms`` and ``ratio``, the median over that of the
        features stage; ``growth``, a list with ``num_keyframes, query_p50_ms, add_p50_ms,
        bytes_per_keyframe``; ``learned_growth``, a list with ``num_keyframes, update_p50_ms,
        sub_graph_p50_ms, query_p50_ms, bytes_per_keyframe``; ``large``, one search or None;
        ``memory`` in bytes by name; ``outcome``, what became of the drive's queries, by status,
        and its closures; ``notes``.

    Raises:
        RecordingError: there are too few frames, none has odometry, or a pose graph is damaged.
        InputError: the vocabulary cannot be read, or a pose graph cannot be solved.
    """
    bench = _Bench(options, Config() if config is None else config, progress)
    bench.load()
    bench.time_pose_graphs()
    progress('frames')
    drive = there_and_back(list(frames))
    if len(drive) < MIN_FRAMES:
        raise RecordingError(f'a drive of {len(drive)} frames instead of at least {MIN_FRAMES}')
    bench.time_pipeline(drive)
    bench.time_growth(bench.describe(drive))
    bench.time_learned()
    bench.time_overlap()
    return bench.result()


class _Bench:
    """Does one part after the other and gathers what they measure."""

    def __init__(self, options: BenchOptions, config: Config, progress: Progress) -> None:
        self._options = options
        self._config = config
        self._progress = progress
        self._stages: list[Timing] = []
        self._others: list[Timing] = []
        self._growth: list[Growth] = []
        self._learned: list[Timing] = []
        self._learned_growth: list[GraphGrowth] = []
        self._large: dict[str, Any] | None = None
        self._images: list[tuple[Frame, Features]] = []
        self._notes = list(_NOTES)
        self._outcome: Counter[str] = Counter()
        self._memory: dict[str, int] = {}
        if options.start_bytes is not None:
            self._memory['resident at start'] = options.start_bytes

    def load(self) -> None:
        """Load the vocabulary; by now every library is loaded, too."""
        self._progress('vocabulary')
        path = self._config.retrieval.vocabulary
        load_ms = [measure(lambda: load_vocabulary(path)) for _ in range(_NUM_LOADS)]
        self._others.append(Timing('load vocabulary', np.array(load_ms)))
        self._vocabulary = load_vocabulary(path)
        self._memory['resident with libraries and vocabulary'] = resident_bytes()

    def time_pose_graphs(self) -> None:
        """Time the made-up drive and the recorded graphs."""
        options, config = self._options, self._config.pose_graph
        self._progress('pose graph')
        self._others.append(time_drive(options.num_poses, config, options.seed))
        if options.pose_sizes:
            self._progress('pose graph as a whole')
            self._others += time_sizes(options.pose_sizes, config, options.seed)
            self._others += time_back_end(options.pose_sizes, config, options.seed)
        for path in options.g2o:
            self._progress(path.name)
            samples_ms = online_update_times(path, config) * 1e3
            self._others.append(Timing(f'add pose of {path.stem}', samples_ms))

    def time_pipeline(self, frames: Sequence[Frame]) -> None:
        """Time the stages on a drive."""
        self._progress('stages')
        self._stages, self._outcome = time_stages(frames, self._config)

    def describe(self, frames: Sequence[Frame]) -> list[NDArray[np.uint8]]:
        """Return the descriptors (N, 32) of each frame; weigh what is kept of a keyframe."""
        extractor = OrbExtractor(self._config.features)
        keyframes = [
            Keyframe(index, 0, frame, extractor.extract(frame))
            for index, frame in enumerate(frames)
        ]
        self._images = [(each.frame, each.features) for each in keyframes[:_NUM_ENCODED]]
        view_bytes = [array_bytes(make_view(keyframe)) for keyframe in keyframes]
        self._memory['view of a keyframe'] = round(np.median(view_bytes))
        descriptors = [keyframe.features.descriptors for keyframe in keyframes]
        words_ms = [measure(partial(self._vocabulary.transform, d)) for d in descriptors]
        self._others.append(Timing('words of a keyframe', np.array(words_ms)))
        return descriptors

    def time_growth(self, descriptors: list[NDArray[np.uint8]]) -> None:
        """Time retrieval at each size."""
        self._progress('retrieval')
        vectors = mixtures(
            descriptors, self._vocabulary, np.random.default_rng(self._options.seed)
        )
        sizes = sorted(set(self._options.sizes))
        before = resident_bytes()
        self._memory['resident before retrieval'] = before
        for growth in time_growth(vectors, self._vocabulary.num_words, sizes):
            self._growth.append(growth)
            self._memory[f'index of {growth.num_keyframes:,} keyframes'] = growth.num_bytes
            self._memory[f'resident with {growth.num_keyframes:,} keyframes in it'] = (
                resident_bytes()
            )
        # Views are not made up: what they take is known to the byte.
        self._memory[f'views of {sizes[-1]:,} keyframes'] = (
            self._memory['view of a keyframe'] * sizes[-1]
        )

    def time_learned(self) -> None:
        """Time the encoders, and the learned map at each size."""
        options = self._options
        self._progress('encoders')
        encoders = time_encoders(self._images)
        self._learned += encoders
        self._progress('learned map')
        gnn = InferenceGNN.of(build_gnn(GNNConfig()))
        with one_core():
            sizes = {*options.graph_sizes, *([options.num_large] if options.num_large else [])}
            self._learned_growth = list(time_graph(gnn, sorted(sizes), options.seed))
            for growth in self._learned_growth:
                self._learned += [growth.update, growth.sub_graph, growth.query]
                self._learned += whole_keyframe(encoders, growth)
            if options.num_large:
                self._progress('large search')
                large = time_large_search(gnn, options.num_large, options.seed)
                self._learned.append(large.query)
                self._large = large.as_dict()
                self._notes.append(
                    f'search among {options.num_large:,}: finds {large.recall_at_10:.1%} of the '
                    f'ten most similar; {large.num_bytes / options.num_large:,.0f} bytes a '
                    f'keyframe; filled in {large.build_s:.0f} s'
                )

    def time_overlap(self) -> None:
        """Time the overlap of views, against a plain loop."""
        self._progress('overlap')
        rows = overlap_rows(self._options.seed)
        self._others += rows
        fast_ms, loop_ms = (float(np.median(rows[index].samples_ms)) for index in (0, -1))
        self._notes.append(
            f'overlap: {1e3 / fast_ms:,.0f} pairs per second, {loop_ms / fast_ms:,.0f} times '
            'those of the plain loop'
        )

    def result(self) -> dict[str, Any]:
        """Put everything into plain values."""
        features_ms = float(np.median(self._stages[0].samples_ms))
        retrieval = [timing for growth in self._growth for timing in (growth.query, growth.add)]
        groups = {
            'stages': self._stages,
            'learned': self._learned,
            'retrieval': retrieval,
            'others': self._others,
        }
        return {
            'machine': _machine(),
            **{
                name: [timing.as_dict(features_ms) for timing in timings]
                for name, timings in groups.items()
            },
            'growth': [growth.as_dict() for growth in self._growth],
            'learned_growth': [growth.as_dict() for growth in self._learned_growth],
            'large': self._large,
            'memory': self._memory,
            'outcome': dict(self._outcome),
            'notes': self._notes,
        }


def _machine() -> dict[str, str | int | None]:
    return {
        'system': f'{platform.system()} {platform.machine()}',
        'cores': os.cpu_count(),
        'opencv_threads': cv2.getNumThreads(),
        'python': platform.python_version(),
        'numpy': np.__version__,
        'opencv': cv2.__version__,
    }
