"""config/security/policy.xml allows what the nodes open, and nothing else."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from node_rig import node_of

from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.database_node import DatabaseNode
from s3e_gnn_ros.ros.loop_closure_node import LoopClosureNode
from s3e_gnn_ros.ros.pose_graph_node import PoseGraphNode

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'security' / 'policy.xml'
BOW = {'retrieval.method': 'bow'}
# Every input and output that a parameter switches on.
VARIANTS = {
    LoopClosureNode: (
        {'use_sim_time': True},
        {'node.image_transport': 'compressed', 'node.pose_type': 'pose'},
        {'node.host': 'vins', 'node.feedback': True},
        {'node.host': 'openvins', 'node.use_depth': False},
        {'node.host': 'orb_slam3', 'node.body_frame_pose': True},
    ),
    PoseGraphNode: ({'use_sim_time': True}, {'node.pose_type': 'pose'}),
    DatabaseNode: ({'use_sim_time': True},),
}
# Open only where tf2_msgs is installed, as in every ROS installation, or while another node
# publishes the same.
CONDITIONAL = {
    ('subscribe', '/tf'),
    ('subscribe', '/tf_static'),
    ('publish', '/tf'),
    ('publish', '/pose_graph/map_to_odom'),
    ('subscribe', '/pose_graph/map_to_odom'),
}
KINDS = {
    'publish': 'get_publisher_names_and_types_by_node',
    'subscribe': 'get_subscriber_names_and_types_by_node',
    'reply': 'get_service_names_and_types_by_node',
    'request': 'get_client_names_and_types_by_node',
}


def allowed(node_name: str, enclave: str = '') -> set[tuple[str, str]]:
    """Return (verb, full name) of all that the policy allows a node; SROS 2 expands it like so."""
    root = ElementTree.parse(POLICY).getroot()
    assert root.tag == 'policy'
    path = f"enclaves/enclave[@path='/s3e_gnn_ros/{enclave or node_name}']/profiles/profile"
    (profile,) = root.findall(f"{path}[@node='{node_name}']")
    assert profile.attrib == {'ns': '/', 'node': node_name}
    found = []
    for group in profile:
        ((verb, rule),) = group.attrib.items()
        assert rule == 'ALLOW'
        assert {each.tag for each in group} == {group.tag.removesuffix('s')}
        for each in group:
            name = each.text or ''
            expanded = f'/{node_name}{name[1:]}' if name.startswith('~') else name
            found.append((verb, expanded if expanded.startswith('/') else f'/{expanded}'))
    assert len(set(found)) == len(found), 'something is allowed twice'
    return set(found)


_namespaces = itertools.count()


def opened(make, parameters, folder) -> set[tuple[str, str]]:
    """Return the same of what a node has really opened."""
    # Of its own: the graph remembers nodes of one name for a while.
    namespace = f'/of_{next(_namespaces)}'
    parameters = {**BOW, 'map.directory': str(folder), **parameters}
    with node_of(make, parameters, namespace=namespace) as rig:
        node = rig.node
        own = {('publish', each.topic_name) for each in node.publishers}
        own |= {('subscribe', each.topic_name) for each in node.subscriptions}
        own |= {('reply', each.service_name) for each in node.services}
        own |= {('request', node.resolve_service_name(each.srv_name)) for each in node.clients}
        for _ in range(300):
            found = {
                (verb, name)
                for verb, ask in KINDS.items()
                for name, _ in getattr(node, ask)(node.get_name(), node.get_namespace())
            }
            if own <= found:  # the graph knows of a thing a moment after it is made
                return {(verb, name.removeprefix(namespace)) for verb, name in found}
            time.sleep(0.1)
        raise AssertionError(f'the graph lacks {own - found}')


@pytest.mark.parametrize('make', VARIANTS)
def test_the_policy_is_what_the_nodes_open(make, domain, tmp_path):
    name = {
        LoopClosureNode: names.LOOP_CLOSURE_NODE,
        PoseGraphNode: names.POSE_GRAPH_NODE,
        DatabaseNode: names.DATABASE_NODE,
    }[make]
    real = set().union(*(opened(make, variant, tmp_path) for variant in VARIANTS[make]))
    policy = allowed(name)
    assert real - policy == set(), 'a node would be denied this'
    assert policy - real - CONDITIONAL == set(), 'nobody needs this'


def test_every_node_has_an_enclave():
    paths = {each.get('path') for each in ElementTree.parse(POLICY).getroot().iter('enclave')}
    nodes = names.LOOP_CLOSURE_NODE, names.POSE_GRAPH_NODE, names.DATABASE_NODE
    assert paths == {f'/s3e_gnn_ros/{name}' for name in (*nodes, 'both_nodes')}


def test_two_nodes_in_one_process_may_do_what_each_may():
    for name in (names.LOOP_CLOSURE_NODE, names.POSE_GRAPH_NODE):
        assert allowed(name, 'both_nodes') == allowed(name)
