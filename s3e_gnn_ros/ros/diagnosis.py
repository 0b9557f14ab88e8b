"""Why a topic stays silent: nobody there, another type, quality of service, or another name."""

from __future__ import annotations

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible

from s3e_gnn_ros.ros import names

_OWN_NODES = (names.LOOP_CLOSURE_NODE, names.POSE_GRAPH_NODE)
_TRANSPORTS = ('/compressed', '/compressedDepth')
_POLICIES = ('reliability', 'durability')
_MAX_NAMED = 5


def explain_silence(node: Node, topic: str, type_name: str, asked: QoSProfile) -> str:
    """Return in one sentence, without a full stop, why nothing has come on a topic.

    Args:
        node: asks the ROS graph.
        topic: full name.
        type_name: such as ``sensor_msgs/msg/Image``.
        asked: what the subscription asks for.
    """
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return f'nobody publishes it; {_elsewhere(node, topic, type_name)}'
    fitting = [p for p in publishers if p.topic_type == type_name]
    if not fitting:
        types = ', '.join(sorted({p.topic_type for p in publishers}))
        return f'it is published as {types} instead of {type_name}'
    refused = list_refused(node, topic, type_name, asked)
    if len(refused) == len(fitting):
        return f'its quality of service does not match: {"; ".join(refused)}'
    sender = ', '.join(sorted({_full_name(p) for p in fitting}))
    return f'{sender} could publish it, and has not done so'


def list_refused(node: Node, topic: str, type_name: str, asked: QoSProfile) -> list[str]:
    """Return who publishes a topic in a way that a subscription cannot take, and why."""
    refused = []
    for publisher in node.get_publishers_info_by_topic(topic):
        reason = qos_mismatch(publisher.qos_profile, asked)
        if publisher.topic_type == type_name and reason:
            refused.append(f'{_full_name(publisher)} offers {reason}')
    return sorted(refused)


def qos_mismatch(offered: QoSProfile, asked: QoSProfile) -> str:
    """Return which policies of a publisher a subscription cannot take, or an empty text."""
    compatibility, reason = qos_check_compatible(offered, asked)
    if compatibility != QoSCompatibility.ERROR:
        return ''
    named = [
        f'{policy} {_value(offered, policy)}, {_value(asked, policy)} is asked for'
        for policy in _POLICIES
        if _is_refused(offered, asked, policy)
    ]
    return ' and '.join(named) or reason.strip().rstrip(';')


def _is_refused(offered: QoSProfile, asked: QoSProfile, policy: str) -> bool:
    """Whether this policy alone makes the two incompatible."""
    only_offered, only_asked = QoSProfile(depth=1), QoSProfile(depth=1)
    setattr(only_offered, policy, getattr(offered, policy))
    setattr(only_asked, policy, getattr(asked, policy))
    return qos_check_compatible(only_offered, only_asked)[0] == QoSCompatibility.ERROR


def _value(profile: QoSProfile, policy: str) -> str:
    return str(getattr(profile, policy).name)


def _elsewhere(node: Node, topic: str, type_name: str) -> str:
    """Say where what is wanted may be found."""
    offered = {
        other: types
        for other, types in node.get_topic_names_and_types()
        if other != topic and _is_foreign(node, other)
    }
    transports = [other for other in offered if _base(other) == _base(topic)]
    if transports:
        has = 'compressed' if transports[0].endswith(_TRANSPORTS) else 'raw'
        return f'{transports[0]} exists: set node.image_transport to {has}'
    others = sorted(
        (other for other, types in offered.items() if type_name in types),
        # What ends alike is most likely meant.
        key=lambda other: (other.rpartition('/')[2] != topic.rpartition('/')[2], other),
    )
    if not others:
        return f'nor is any topic of the type {type_name} published'
    more = f' and {len(others) - _MAX_NAMED} more' if len(others) > _MAX_NAMED else ''
    return f'publishers of its type exist on {", ".join(others[:_MAX_NAMED])}{more}'


def _is_foreign(node: Node, topic: str) -> bool:
    """Whether somebody other than this package publishes a topic."""
    publishers = node.get_publishers_info_by_topic(topic)
    return any(p.node_name not in (*_OWN_NODES, node.get_name()) for p in publishers)


def _base(topic: str) -> str:
    for transport in _TRANSPORTS:
        topic = topic.removesuffix(transport)
    return topic


def _full_name(publisher: object) -> str:
    namespace, name = publisher.node_namespace, publisher.node_name
    return f'{namespace.rstrip("/")}/{name}'
