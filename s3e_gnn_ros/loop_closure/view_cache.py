"""Views of keyframes: held in memory, or read again from a stored map when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.types import KeyframeKey


class ViewSource(Protocol):
    """Where views can be read again: a stored map."""

    def view(self, key: KeyframeKey) -> View:
        """Return the view of a keyframe.

        Raises:
            InputError: it has none, or it is damaged.
        """
        ...


class ViewCache:
    """Gives the view of any keyframe.

    Those that no source holds stay in memory. Of the others the ones used last do: 10,000
    keyframes are 2 GB, and a robot meets a few hundred of them at a time.

    Args:
        size: views kept of those that a source holds.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._own: dict[KeyframeKey, View] = {}
        self._sources: dict[KeyframeKey, ViewSource] = {}
        self._cached: OrderedDict[KeyframeKey, View] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of keyframes whose view can be had."""
        return len(self._own) + len(self._sources)

    def __contains__(self, key: KeyframeKey) -> bool:
        """Return whether the view of a keyframe can be had."""
        return key in self._own or key in self._sources

    @property
    def num_in_memory(self) -> int:
        """Views held in memory."""
        return len(self._own) + len(self._cached)

    def add(self, view: View) -> None:
        """Keep the view of a new keyframe in memory."""
        self._own[KeyframeKey(view.session, view.keyframe_id)] = view

    def attach(self, keys: Iterable[KeyframeKey], source: ViewSource) -> None:
        """Tell that a source holds these keyframes: their views may leave memory from now on."""
        for key in keys:
            self._sources[key] = source
            view = self._own.pop(key, None)
            if view is not None:
                self._remember(key, view)

    def view(self, key: KeyframeKey) -> View:
        """Return the view of a keyframe.

        Raises:
            InputError: it is unknown, or its source cannot give it.
        """
        own = self._own.get(key) or self._cached.get(key)
        if own is not None:
            if key in self._cached:
                self._cached.move_to_end(key)
            return own
        if key not in self._sources:
            raise InputError(f'there is no keyframe {key.keyframe_id} of session {key.session}')
        view = self._sources[key].view(key)
        self._remember(key, view)
        return view

    def remove(self, key: KeyframeKey) -> None:
        """Forget a keyframe; one that is unknown is forgotten already."""
        self._own.pop(key, None)
        self._sources.pop(key, None)
        self._cached.pop(key, None)

    def _remember(self, key: KeyframeKey, view: View) -> None:
        self._cached[key] = view
        if len(self._cached) > self._size:
            self._cached.popitem(last=False)
