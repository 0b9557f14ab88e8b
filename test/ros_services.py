"""Calls of services, and messages of topics, from a test's own node."""

from __future__ import annotations

import time
from contextlib import suppress

_START_LIMIT_S = 90.0
"""A node that has just been started may take as long."""


class Caller:
    """A node that calls services and keeps messages; everything runs in the caller's thread.

    Args:
        context: an initialised rclpy context.
    """

    def __init__(self, context) -> None:
        import rclpy  # noqa: TID251
        from rclpy.executors import SingleThreadedExecutor  # noqa: TID251

        self.node = rclpy.create_node('caller', context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._clients = {}
        self._greeters = {}

    def call(self, service_class, name, /, *, limit_s=30.0, **fields):
        """Call a service once; fail when no answer comes."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_class, name)
            self._greeters.clear()  # they have to be newer
        client = self._clients[name]
        assert client.wait_for_service(_START_LIMIT_S), f'{name} is not there'
        self._greet(self.node.resolve_service_name(name))
        future = client.call_async(service_class.Request(**fields))
        self._executor.spin_until_future_complete(future, timeout_sec=limit_s)
        assert future.done(), f'{name} has not answered'
        return future.result()

    def _greet(self, service):
        """Wait until the server of a service knows every client here: else its answer is lost.

        Clients are announced in the order they are made: the server that answers one made later
        knows all. Only a question that changes nothing may be repeated until then.
        """
        from rcl_interfaces.srv import GetParameters  # noqa: TID251

        end_s = time.monotonic() + _START_LIMIT_S
        while True:
            assert time.monotonic() < end_s, f'the node of {service} does not answer'
            node = self._node_of(service)
            if node is None:
                self.spin(0.05)
                continue
            if node not in self._greeters:
                name = f'{node}/get_parameters'
                self._greeters[node] = self.node.create_client(GetParameters, name)
            greeter = self._greeters[node]
            if not greeter.wait_for_service(1.0):
                continue
            future = greeter.call_async(GetParameters.Request())
            self._executor.spin_until_future_complete(future, timeout_sec=1.0)
            if future.done():
                return
            greeter.remove_pending_request(future)

    def _node_of(self, service):
        """Return the full name of the node that offers a service; None while it is unknown."""
        for name, namespace in self.node.get_node_names_and_namespaces():
            with suppress(RuntimeError):  # it has gone meanwhile
                services = self.node.get_service_names_and_types_by_node(name, namespace)
                if service in dict(services):
                    return f'{namespace.rstrip("/")}/{name}'
        return None

    def keep(self, message_class, name, qos):
        """Subscribe; returns the list that messages are appended to while this node spins."""
        messages = []
        self.node.create_subscription(message_class, name, messages.append, qos)
        return messages

    def spin(self, duration_s):
        """Take what arrives for a while."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def close(self):
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
