"""Depth clouds of keyframes, made when first needed and forgotten when long unused."""

from __future__ import annotations

from collections import OrderedDict

from s3e_gnn_ros.loop_closure.depth_alignment import DepthCloud, make_cloud
from s3e_gnn_ros.loop_closure.view import DepthImage, View


class CloudCache:
    """A bounded cache: a revisit asks for the same few keyframes again and again.

    Args:
        min_depth_m: nearer depth is ignored.
        max_depth_m: farther depth is ignored.
        size: clouds kept (about 0.5 MB each).
    """

    def __init__(self, min_depth_m: float, max_depth_m: float, size: int = 32) -> None:
        self._range = min_depth_m, max_depth_m
        self._size = size
        self._clouds: OrderedDict[tuple[int, int], tuple[DepthImage, DepthCloud | None]] = (
            OrderedDict()
        )

    def get(self, view: View, depth: DepthImage) -> DepthCloud | None:
        """Return the cloud of a view's depth; None when too little of it is valid."""
        key = view.session, view.keyframe_id
        # Images that are relocalised belong to no session and may share a number.
        if key not in self._clouds or self._clouds[key][0] is not depth:
            self._clouds[key] = depth, make_cloud(depth, *self._range)
            if len(self._clouds) > self._size:
                self._clouds.popitem(last=False)
        self._clouds.move_to_end(key)
        return self._clouds[key][1]
