"""Calls of services, and messages of topics, from a test's own node."""

from __future__ import annotations

import time


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

    def call(self, service_class, name, /, *, limit_s=30.0, **fields):
        """Call a service; fail when no answer comes."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_class, name)
        client = self._clients[name]
        assert client.wait_for_service(limit_s), f'{name} is not there'
        future = client.call_async(service_class.Request(**fields))
        self._executor.spin_until_future_complete(future, timeout_sec=limit_s)
        assert future.done(), f'{name} has not answered'
        return future.result()

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
