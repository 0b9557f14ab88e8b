"""A lifecycle node: what it does hangs on its state, what can be asked of it does not."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from s3e_gnn_ros import srv
from s3e_gnn_ros.config import Config, Leaf
from s3e_gnn_ros.errors import ConfigError, S3EError
from s3e_gnn_ros.ros.deferred import DeferredServices
from s3e_gnn_ros.ros.diagnostics import Diagnostics
from s3e_gnn_ros.ros.examination import Examination
from s3e_gnn_ros.ros.missing_package import missing_package
from s3e_gnn_ros.ros.parameters import change_parameters, load_parameters
from s3e_gnn_ros.ros.role import Role
from s3e_gnn_ros.ros.scope import Scope
from s3e_gnn_ros.ros.statistics import Statistics, fill_statistics

_SUCCESS = TransitionCallbackReturn.SUCCESS
_FAILURE = TransitionCallbackReturn.FAILURE
_ERROR = TransitionCallbackReturn.ERROR


class ManagedNode(LifecycleNode):
    """Goes through the states of a lifecycle node with a role that it has while configured.

    What the role creates is destroyed when the state ends that it was created for: publishers and
    services on cleanup, subscriptions on deactivation. Publishers are silent unless the node is
    active. Statistics and parameters can be asked for in every state.

    Args:
        name: of the node.
        statistics_service: name of its GetStatistics.
        make_role: builds the role from node and configuration.
        options: of the rclpy node.

    Raises:
        ConfigError: a parameter is wrong.
    """

    _is_managed = False  # rclpy creates publishers of its own in its constructor

    def __init__(
        self,
        name: str,
        statistics_service: str,
        make_role: Callable[[ManagedNode, Config], Role],
        **options: Any,
    ) -> None:
        super().__init__(name, automatically_declare_parameters_from_overrides=True, **options)
        self.config = load_parameters(self)
        self.statistics = Statistics()
        self.deferred = DeferredServices(self, lambda: self.state)
        self.role: Role | None = None
        self._make_role = make_role
        self._configured = Scope(self, self.deferred.owns)
        self._activated = Scope(self, self.deferred.owns)
        self._failure: Exception | None = None
        self.create_service(srv.GetStatistics, statistics_service, self._answer_statistics)
        self._diagnostics = Diagnostics(
            self, lambda: self.config.node.robot_id, Examination(self).examine
        )
        self._guard_transitions()
        self._is_managed = True

    @property
    def state(self) -> str:
        """Label of the lifecycle state: unconfigured, inactive, active, finalized or between."""
        return str(self._state_machine.current_state[1])

    def start(self) -> bool:
        """Configure and activate; returns whether both came about. Why not has been logged.

        Raises:
            ExternalShutdownException: the process was interrupted meanwhile.
            Exception: whatever a bug raised.
        """
        self._failure = None
        for trigger in (self.trigger_configure, self.trigger_activate):
            try:
                result = trigger()
            except RuntimeError:  # of Humble and Jazzy, when the context is shut down meanwhile
                if self.context.ok():
                    raise
                result = _ERROR
            if result != _SUCCESS and not self.context.ok():
                raise ExternalShutdownException
            if result == _ERROR and self._failure is not None:
                raise self._failure
            if result != _SUCCESS:
                return False
        return True

    def close(self) -> None:
        """End what runs, whatever the state: the process ends."""
        self._release()

    # The transitions.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Build the role; where that is refused, nothing is left of it."""
        result = self._attempt(self._configure)
        if result == _FAILURE:
            self._release()
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let publishers speak, subscribe and begin."""
        super().on_activate(state)
        result = self._attempt(self._activate)
        if result == _FAILURE:
            self._deactivate()
        # Those that have come with the subscriptions too, or none at all.
        return super().on_activate(state) if result == _SUCCESS else self._silence(state, result)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the subscriptions, let the work at hand come to its end, and be silent."""
        return self._silence(state, self._attempt(self._deactivate))

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything: another configuration may follow."""
        return self._attempt(self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything for good."""
        return self._attempt(self._release)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free what can be freed: the node may be configured again, whatever is wrong with it."""
        self._attempt(self._release)
        return _SUCCESS

    def _configure(self) -> None:
        self.statistics = Statistics()
        with self._configured.filling():
            self.role = self._make_role(self, self.config)
        self.get_logger().info('configured')

    def _activate(self) -> None:
        assert self.role is not None  # by the state
        with self._activated.filling():
            self.role.activate()
        self.get_logger().info('active')

    def _deactivate(self) -> None:
        if self.role is not None:
            self.role.deactivate()
        self._activated.empty()

    def _release(self) -> None:
        role, self.role = self.role, None
        self.deferred.unbind()
        try:
            if role is not None:
                role.close()
        finally:
            self._activated.empty()
            self._configured.empty()

    def _silence(
        self, state: LifecycleState, result: TransitionCallbackReturn
    ) -> TransitionCallbackReturn:
        super().on_deactivate(state)
        return result

    def _attempt(self, transition: Callable[[], None]) -> TransitionCallbackReturn:
        """Make a transition: what is wrong with the world is a failure, a bug is an error."""
        failure: Exception | None = None
        try:
            transition()
        except (S3EError, ImportError) as err:
            sentence = missing_package(err) if isinstance(err, ImportError) else str(err)
            if sentence is not None:
                self.get_logger().error(sentence)
                return _FAILURE
            failure = err
        except Exception as err:
            failure = err
        if failure is None:
            return _SUCCESS
        self._failure = failure
        if self.context.ok():  # else it was interrupted in the middle of something
            self.get_logger().error(''.join(traceback.format_exception(failure)))
        return _ERROR

    def _guard_transitions(self) -> None:
        """Refuse a transition that is impossible: Humble and Jazzy let it end the process."""
        service = self._service_change_state
        change = service.callback

        def guarded(request: Any, response: Any) -> Any:
            try:
                return change(request, response)
            except RuntimeError as err:
                self.get_logger().error(f'no such transition from {self.state}: {err}')
                response.success = False
                return response

        service.callback = guarded

    # What can be asked in every state.

    def create_publisher(self, *args: Any, **options: Any) -> Any:
        """Create a publisher; that of a role is silent unless the node is active."""
        if self._is_managed and (self._configured.is_filling or self._activated.is_filling):
            return self.create_lifecycle_publisher(*args, **options)
        return super().create_publisher(*args, **options)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """Set parameters one by one; see :meth:`set_parameters_atomically`."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set all parameters or none, and let the role know.

        All services for parameters come through here. Not a callback of rclpy: those are called
        before others may still refuse, and Humble has none that comes after.
        """
        may_change = _anything if self.role is None else self.role.may_change
        try:
            for parameter in parameter_list:
                if not self.has_parameter(parameter.name):
                    raise ConfigError(f"there is no parameter '{parameter.name}'")
            config, converted = change_parameters(self.config, parameter_list, may_change)
        except ConfigError as err:
            return SetParametersResult(successful=False, reason=str(err))
        result = super().set_parameters_atomically(converted)
        if result.successful and config != self.config:
            self.config = config
            if self.role is not None:
                self.role.set_config(config)
        return result

    def _answer_statistics(self, _request: Any, response: Any) -> Any:
        role = self.role
        return fill_statistics(
            response,
            self.statistics,
            0 if role is None else role.depth,
            is_busy=role is not None and role.is_busy,
        )


def _anything(_leaf: Leaf) -> bool:
    return True
