"""What a lifecycle node is while it is configured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from s3e_gnn_ros.config import Config, Leaf
from s3e_gnn_ros.ros.health import Health
from s3e_gnn_ros.ros.inputs import Watched


class Role(ABC):
    """What a node is while it is configured; everything runs in the executor's thread."""

    @property
    @abstractmethod
    def depth(self) -> int:
        """Items that wait for its worker."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Items that may wait for it."""

    @property
    @abstractmethod
    def is_busy(self) -> bool:
        """Whether anything it was given is still on its way."""

    @property
    def watched(self) -> Mapping[str, Watched]:
        """What is subscribed to of other systems."""
        return {}

    def healths(self, counters: Mapping[str, int]) -> Sequence[Health]:
        """Report what only this role has; called once a second."""
        return ()

    @abstractmethod
    def activate(self) -> None:
        """Subscribe, and begin to work on what comes."""

    @abstractmethod
    def deactivate(self) -> None:
        """Let the work at hand come to its end; subscriptions are destroyed after that."""

    def may_change(self, leaf: Leaf) -> bool:
        """Whether :meth:`set_config` takes a leaf."""
        return leaf.at_run_time

    @abstractmethod
    def set_config(self, config: Config) -> None:
        """Take from another configuration what may change."""

    @abstractmethod
    def close(self) -> None:
        """End the threads, write what is left and close the files; also of an active node."""
