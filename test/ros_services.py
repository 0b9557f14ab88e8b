"""Calls of services, and messages of topics, from a test's own node."""

from __future__ import annotations

import time

_START_LIMIT_S = 90.0
"""A node that has just been started may take as long."""
_FIND_S = 0.5
_ASK_AGAIN_S = 10.0
_QUESTIONS = ('Describe', 'Explain', 'Get', 'List', 'Relocalize')
"""Services that change nothing begin with these."""


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
        """Call a service; fail when no answer comes.

        A server that has not found this client yet drops its answer: there is a while to be found
        in, and what changes nothing is asked again.
        """
        request = service_class.Request(**fields)
        is_question = service_class.__name__.startswith(_QUESTIONS)
        end_s = time.monotonic() + limit_s
        while True:
            left_s = max(end_s - time.monotonic(), 1.0)
            client = self._client(service_class, name)
            future = client.call_async(request)
            patience_s = min(_ASK_AGAIN_S, left_s) if is_question else left_s
            self._executor.spin_until_future_complete(future, timeout_sec=patience_s)
            if future.done():
                return future.result()
            assert time.monotonic() < end_s, f'{name} has not answered'
            self.node.destroy_client(self._clients.pop(name))

    def _client(self, service_class, name):
        is_new = name not in self._clients
        if is_new:
            self._clients[name] = self.node.create_client(service_class, name)
        client = self._clients[name]
        assert client.wait_for_service(_START_LIMIT_S), f'{name} is not there'
        if is_new:
            self.spin(_FIND_S)
        return client

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
