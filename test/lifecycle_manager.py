"""What a lifecycle manager does to a node over DDS, and what a person does to its parameters."""

from __future__ import annotations

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter

CONFIGURE = Transition.TRANSITION_CONFIGURE
ACTIVATE = Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE
CLEANUP = Transition.TRANSITION_CLEANUP
UNCONFIGURED_SHUTDOWN = Transition.TRANSITION_UNCONFIGURED_SHUTDOWN
INACTIVE_SHUTDOWN = Transition.TRANSITION_INACTIVE_SHUTDOWN
ACTIVE_SHUTDOWN = Transition.TRANSITION_ACTIVE_SHUTDOWN


class Manager:
    """Calls the services of one node.

    Args:
        caller: of the test.
        node: name of the node.
    """

    def __init__(self, caller, node):
        self._caller = caller
        self._node = node

    def change(self, transition):
        """Ask for a transition; returns whether it succeeded."""
        request = Transition(id=transition)
        name = f'{self._node}/change_state'
        return self._caller.call(ChangeState, name, limit_s=60.0, transition=request).success

    def state(self):
        """Return the label of the state."""
        return self._caller.call(GetState, f'{self._node}/get_state').current_state.label

    def get(self, *names):
        """Return the values of parameters."""
        answer = self._caller.call(GetParameters, f'{self._node}/get_parameters', names=names)
        return [Parameter.from_parameter_msg(_named(value)).value for value in answer.values]

    def set(self, **values):
        """Set parameters one by one; returns the results."""
        answer = self._caller.call(
            SetParameters, f'{self._node}/set_parameters', parameters=_messages(values)
        )
        return answer.results

    def set_atomically(self, **values):
        """Set all or none; returns the result."""
        answer = self._caller.call(
            SetParametersAtomically,
            f'{self._node}/set_parameters_atomically',
            parameters=_messages(values),
        )
        return answer.result


def _messages(values):
    return [
        Parameter(name.replace('__', '.'), value=value).to_parameter_msg()
        for name, value in values.items()
    ]


def _named(value):
    from rcl_interfaces.msg import Parameter as ParameterMessage

    return ParameterMessage(name='any', value=value)
