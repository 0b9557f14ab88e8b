"""The pose graph as messages build it up, and what the robot wants to know of it; no threads.

The graph is in this process or in one of its own. Where that dies, the graph is built anew from
what is remembered here, and what was about to be done is done once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from typing import TypeVar

import numpy as np

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.child import ChildDiedError
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.graph_columns import GraphColumns
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.ros.correction import Correction
from s3e_gnn_ros.ros.edits_file import EditsFile, Pair
from s3e_gnn_ros.ros.graph_edits import EDITS, GraphEdits
from s3e_gnn_ros.ros.keyframe_inbox import KeyframePose, is_continued
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

_T = TypeVar('_T')


class Effect(Enum):
    """What became of a closure."""

    NONE = 'known already, as it is'
    ADDED = 'entered the graph, or waits for its keyframes'
    REPLACED = 'took the place of another measurement of the same pair'


class GraphBuilder:
    """Adds, replaces and removes; all in one thread.

    Remembers what it was given, so that the graph can be built anew when it turns out, after its
    first keyframes have come, that these are to stay where they are.

    Attributes:
        graph: what is built.

    Args:
        config: of the pose graph.
        drop: called with reason and sentence for what the graph refuses when it is built anew.
        make_graph: makes an empty graph, in this process or in one of its own.
        edits_file: where edits of closures outlive the node, if anywhere.
    """

    def __init__(
        self,
        config: PoseGraphConfig,
        drop: Callable[[str, str], None],
        make_graph: Callable[[PoseGraphConfig], PoseGraph | RemoteGraph] = PoseGraph,
        edits_file: EditsFile | None = None,
    ) -> None:
        self.graph = make_graph(config)
        self._make_graph = make_graph
        self._is_closed = False
        self._config = config
        self._drop = drop
        self._keyframes: dict[KeyframeKey, KeyframePose] = {}  # in the order they came
        self._last: dict[int, KeyframePose] = {}  # per session
        self._closures: dict[Pair, LoopClosure] = {}
        self._edits = GraphEdits(edits_file, drop)
        self._unedited: set[Pair] = set()  # closures that wait for their keyframes
        self._fixed: dict[KeyframeKey, Pose] = {}
        self._live: set[int] = set()
        self._newest_live: KeyframePose | None = None

    def add_keyframe(self, keyframe: KeyframePose) -> bool:
        """Add a keyframe; returns whether odometry began anew with it.

        Raises:
            InputError: the graph refuses it.
        """
        key = keyframe.key
        # The same keyframe as the graph ties it to.
        before = self._last.get(key.session) or self._newest()
        continues = self._continues(before, keyframe)
        self._do(lambda: self._put(keyframe, continues))
        self._keyframes[key] = self._last[key.session] = keyframe
        for pair in [pair for pair in self._unedited if key in pair]:
            self._edit_again(pair)
        self._note_live(keyframe)
        return before is not None and not continues

    def add_closure(self, closure: LoopClosure) -> Effect:
        """Add a closure, or put it in the place of another one of the same pair.

        Raises:
            InputError: the graph refuses it.
        """
        pair = pair_of(closure)
        known = self._closures.get(pair)
        if known is not None and _is_same(known, closure):
            return Effect.NONE
        if known is None:
            self._do(lambda: self.graph.add_closure(closure))
        else:
            self._do(lambda: self.graph.replace_closure(closure))
        self._closures[pair] = closure
        if known is None:
            self._edit_again(pair)
        return Effect.ADDED if known is None else Effect.REPLACED

    def remove_keyframes(self, keys: Iterable[KeyframeKey]) -> int:
        """Take keyframes out with their closures; returns how many were there."""
        gone = {key for key in keys if key in self._keyframes}
        for key in gone:
            self._do(partial(self._take_out, key))
            del self._keyframes[key]
            self._forget_pairs(key)
        if gone:
            self._find_last()
        return len(gone)

    def edit(self, action: int, pair: Pair) -> None:
        """Remove, add again, pin or unpin a closure.

        Args:
            action: of srv EditClosure.
            pair: match and query.

        Raises:
            InputError: an unknown action, or no such closure.
        """
        if action not in EDITS:
            raise InputError(f'action {action} is none of {", ".join(map(str, EDITS))}')
        self._do(lambda: EDITS[action](self.graph, *pair))
        self._edits.note(action, pair)

    def fix(self, poses: Mapping[KeyframeKey, Pose]) -> bool:
        """Keep keyframes where a stored map has them; returns whether the graph was built anew.

        Args:
            poses: T_map_camera (4, 4) of each, which may be there already or still to come.
        """
        self._fixed.update(poses)
        if self._keyframes.keys().isdisjoint(poses):
            return False
        self._renew()
        return True

    def set_config(self, config: PoseGraphConfig) -> None:
        """Build the graph anew with other parameters, as if it had always had them."""
        self._config = config
        self._renew()

    @property
    def is_checking(self) -> bool:
        """Whether loop closures are judged elsewhere; an update after that takes the result in."""
        return self.graph.is_checking

    def update(self) -> None:
        """Fold in what is new.

        Raises:
            InputError: the graph cannot be solved.
        """
        self._do(lambda: self.graph.update())

    def finish(self) -> None:
        """Judge all closures and optimise everything at once.

        Raises:
            InputError: the graph cannot be solved.
        """
        self._do(lambda: self.graph.finish())

    def columns(self) -> GraphColumns:
        """Return all there is to show of the graph."""
        return self._do(lambda: self.graph.columns())

    def close(self) -> None:
        """Let go of the graph, in the middle of a call if need be; from any thread."""
        self._is_closed = True
        if isinstance(self.graph, RemoteGraph):
            self.graph.close()

    def set_live(self, session: int) -> bool:
        """Note that a session is one of the robot's own, running now; returns whether it is new.

        Keyframes of a stored map, or of another robot, say nothing of where odometry is now.
        """
        if session in self._live:
            return False
        self._live.add(session)
        if session in self._last:
            self._note_live(self._last[session])
        return True

    def correction(self) -> Correction | None:
        """Return what the graph makes of the newest live keyframe; None before the first."""
        newest = self._newest_live
        if newest is None:
            return None
        standing = self._do(lambda: self.graph.standing(newest.key))
        return Correction(
            newest.key,
            newest.stamp_ns,
            newest.odom_frame,
            standing.T_map_camera,
            newest.T_odom_camera,
            standing.is_tied,
            standing.covariance,
        )

    def _do(self, work: Callable[[], _T]) -> _T:
        """Do something with the graph; once more with a new one where its process has died.

        Raises:
            InputError: the graph refuses it, or its process dies of it.
        """
        try:
            return work()
        except ChildDiedError as err:
            if self._is_closed:
                raise InputError('the pose graph is closed') from err
            self._drop('solver_died', f'{err}; the graph is built anew')
        self._renew()
        try:
            return work()
        except ChildDiedError as err:
            raise InputError(f'the pose graph cannot do this: {err}') from err

    def _renew(self) -> None:
        """Build the graph anew.

        Raises:
            InputError: its process dies of it.
        """
        try:
            self._build_anew()
        except ChildDiedError as err:
            raise InputError(f'the pose graph cannot be built anew: {err}') from err

    def _put(self, keyframe: KeyframePose, continues: bool) -> None:
        self.graph.add_keyframe(
            keyframe.key,
            keyframe.stamp_ns,
            keyframe.T_odom_camera,
            continues,
            T_map_camera_fixed=self._fixed.get(keyframe.key),
        )

    def _take_out(self, key: KeyframeKey) -> None:
        self.graph.remove_keyframe(key)

    def _continues(self, before: KeyframePose | None, keyframe: KeyframePose) -> bool:
        """Whether odometry ties a keyframe to the one before it, if there is one."""
        limit = self._config.max_speed_m_per_s
        return before is not None and is_continued(before, keyframe, limit)

    def _newest(self) -> KeyframePose | None:
        return next(reversed(self._keyframes.values()), None)

    def _note_live(self, keyframe: KeyframePose) -> None:
        newest = self._newest_live
        is_newer = newest is None or keyframe.key > newest.key
        if keyframe.key.session in self._live and is_newer:
            self._newest_live = keyframe

    def _find_last(self) -> None:
        """After keyframes have gone: which are the last now?"""
        self._last = {key.session: keyframe for key, keyframe in self._keyframes.items()}
        live = (k for k in self._keyframes.values() if k.key.session in self._live)
        self._newest_live = max(live, key=lambda k: k.key, default=None)

    def _forget_pairs(self, key: KeyframeKey) -> None:
        for pair in [pair for pair in self._closures if key in pair]:
            del self._closures[pair]
            self._unedited.discard(pair)

    def _build_anew(self) -> None:
        """Give a new graph all that is remembered.

        Raises:
            ChildDiedError: its process has died, too.
        """
        if isinstance(self.graph, RemoteGraph):
            self.graph.close()
        self.graph = self._make_graph(self._config)
        before: KeyframePose | None = None
        last: dict[int, KeyframePose] = {}
        refused: list[KeyframeKey] = []
        for key, keyframe in self._keyframes.items():
            before = last.get(key.session) or before
            continues = self._continues(before, keyframe)
            if self._attempt(partial(self._put, keyframe, continues)):
                last[key.session] = before = keyframe
            else:
                refused.append(key)
        for key in refused:
            del self._keyframes[key]
            self._forget_pairs(key)
        self._find_last()
        self._attempt(self.graph.update)  # loops start from solved odometry
        for closure in self._closures.values():
            self._attempt(partial(self.graph.add_closure, closure))
        for pair in self._closures:
            self._edit_again(pair)
        self._attempt(self.graph.update)  # whoever reads it next does not see odometry alone

    def _edit_again(self, pair: Pair) -> None:
        """Do to a closure what a person has done to it before, once its keyframes are there."""
        actions = list(self._edits.of(pair))
        if actions and not self._keyframes.keys() >= set(pair):
            self._unedited.add(pair)
            return
        self._unedited.discard(pair)
        for action in actions:
            self._attempt(partial(EDITS[action], self.graph, *pair))

    def _attempt(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except InputError as err:
            self._drop('refused', str(err))
            return False
        return True


def pair_of(closure: LoopClosure) -> Pair:
    """Return match and query."""
    return (
        KeyframeKey(closure.match_session, closure.match_id),
        KeyframeKey(closure.query_session, closure.query_id),
    )


def _is_same(a: LoopClosure, b: LoopClosure) -> bool:
    return np.array_equal(a.T_match_query, b.T_match_query) and np.array_equal(
        a.covariance, b.covariance
    )
