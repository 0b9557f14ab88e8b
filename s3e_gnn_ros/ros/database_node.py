"""ROS node: DBoW2's database and DLoopDetector as services, for systems in other languages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros import srv
from s3e_gnn_ros.config import Config, Leaf
from s3e_gnn_ros.data.messages import (
    camera_from_message,
    depth_from_message,
    image_from_message,
)
from s3e_gnn_ros.dbow.database import Database
from s3e_gnn_ros.dbow.detector import NO_ENTRY, LoopDetector
from s3e_gnn_ros.dbow.features import ImageFeatures
from s3e_gnn_ros.dbow.parameters import GeometricalCheck, Parameters
from s3e_gnn_ros.errors import InputError, S3EError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.retrieval.hamming import DESCRIPTOR_BYTES
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.managed_node import ManagedNode
from s3e_gnn_ros.ros.node_main import run_nodes
from s3e_gnn_ros.ros.role import Role


class DatabaseRole(Role):
    """Answers ``database/query`` and ``database/detect_loop``, each with a database of its own.

    The parameters are those of the configuration tree; ``retrieval``, ``features`` and
    ``verification`` matter, and take effect when the node is configured. The databases stay while
    it is inactive, and the services do not. A request that cannot be used is answered with
    ``success`` false and a sentence, and changes nothing.

    Args:
        node: owns the services.
        config: of the node.

    Raises:
        InputError: vocabulary or weights cannot be read.
    """

    depth = capacity = 0
    is_busy = False

    def __init__(self, node: ManagedNode, config: Config) -> None:
        self._node = node
        self._database = Database(config)
        parameters = Parameters.from_config(config.retrieval, geom_check=GeometricalCheck.POSE)
        self._detector = LoopDetector(self._database, parameters)
        method = config.retrieval.method
        node.get_logger().info(f"databases of '{method}' are empty and ready")

    def activate(self) -> None:
        """Offer the services."""
        self._create(srv.QueryDatabase, names.QUERY_DATABASE, self._query)
        self._create(srv.DetectLoop, names.DETECT_LOOP, self._detect)

    def deactivate(self) -> None:
        """Nothing runs beside the executor."""

    def may_change(self, leaf: Leaf) -> bool:
        """Nothing may: what is in a database was made by what holds."""
        return False

    def set_config(self, config: Config) -> None:
        """There is nothing to take."""

    def close(self) -> None:
        """Nothing is open."""

    def _create(
        self, service_class: type[Any], name: str, work: Callable[[Any, Any], None]
    ) -> None:
        """Create a service: what ``work`` raises becomes the message of its answer."""

        def answer(request: Any, response: Any) -> Any:
            try:
                work(request, response)
                response.success = True
            except S3EError as err:
                response = self._refusal(service_class, name, str(err))
            except Exception as err:  # a bug: the caller gets an answer all the same
                response = self._refusal(service_class, name, f'{type(err).__name__}: {err}')
            return response

        self._node.create_service(service_class, name, answer)

    def _refusal(self, service_class: type[Any], name: str, reason: str) -> Any:
        self._node.get_logger().warning(f'service {name}: {reason}', throttle_duration_sec=5.0)
        response = service_class.Response(success=False, message=reason)
        for field in ('entry_id', 'query', 'match'):
            if hasattr(response, field):
                setattr(response, field, NO_ENTRY)
        return response

    def _query(self, request: Any, response: Any) -> None:
        given = ImageFeatures(
            image=image_from_message(request.image) if len(request.image.data) else None,
            keypoints_px=_keypoints(request.keypoints_px),
            descriptors=_descriptors(request.descriptors),
        )
        response.entry_id = NO_ENTRY
        if request.max_results != 0:
            # An image that is not added belongs to no drive: it is asked about alone.
            results = self._database.query(
                given, request.max_results, request.max_id, is_next=request.add
            )
            response.ids, response.scores = results.ids, results.scores
        if request.add:
            response.entry_id = self._database.add(given)

    def _detect(self, request: Any, response: Any) -> None:
        camera = _camera(request.camera_info)
        depth_m = depth_from_message(request.depth) if len(request.depth.data) else None
        if depth_m is not None and camera is None:
            raise InputError('depth came without camera_info, which its use needs')
        given = ImageFeatures(
            image=image_from_message(request.image),
            keypoints_px=_keypoints(request.keypoints_px),
            camera=camera,
            depth_m=depth_m,
        )
        found = self._detector.detect_loop(given)
        response.status = int(found.status)
        response.query, response.match = found.query, found.match
        response.score = found.score
        response.message = found.status.name


def _keypoints(values: Sequence[float]) -> NDArray[np.float32] | None:
    if len(values) == 0:
        return None
    if len(values) % 2:
        raise InputError(f'keypoints_px has {len(values)} values, which are no pairs of x and y')
    return np.array(values, dtype=np.float32).reshape(-1, 2)


def _descriptors(values: Any) -> NDArray[np.uint8] | None:
    if len(values) == 0:
        return None
    if len(values) % DESCRIPTOR_BYTES:
        raise InputError(
            f'descriptors have {len(values)} bytes, which is no multiple of {DESCRIPTOR_BYTES}'
        )
    return np.frombuffer(bytes(values), np.uint8).reshape(-1, DESCRIPTOR_BYTES)


def _camera(message: Any) -> PinholeCamera | None:
    """Return the camera; None of a message that was left empty."""
    is_empty = message.width == 0 and message.height == 0 and not np.any(message.k)
    return None if is_empty else camera_from_message(message)


class DatabaseNode(ManagedNode):
    """Has the role :class:`DatabaseRole` while it is configured.

    Raises:
        ConfigError: a parameter is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(names.DATABASE_NODE, names.DATABASE_STATISTICS, DatabaseRole, **options)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop; returns the exit status."""
    return run_nodes([DatabaseNode], args)


if __name__ == '__main__':
    sys.exit(main())
