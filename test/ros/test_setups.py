"""The table of set-ups against what the nodes really subscribe to and publish."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

rclpy = pytest.importorskip('rclpy')

from rclpy.node import Node

from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.adapters import make_host
from s3e_gnn_ros.ros.adapters.pose_input import subscribe_odometry
from s3e_gnn_ros.ros.image_source import ImageSource
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.processes import plan_arguments
from s3e_gnn_ros.ros.setup_plan import Choices, make_plan
from s3e_gnn_ros.ros.setups import SETUPS
from s3e_gnn_ros.ros.statistics import Statistics

ROOT = Path(__file__).resolve().parents[2]
ABSOLUTE = {'tf', 'tf_static'}  # every robot's TF is on one topic


def inputs_of(plan, **changes):
    """Return what both nodes of a plan watch, subscribed by their own code."""
    context = rclpy.Context()
    rclpy.init(args=plan_arguments(plan), context=context)
    node = Node('any', context=context)
    watched = {}
    for subscribe in (subscribe_loop_closure, subscribe_odometry_alone):
        statistics = Statistics()
        intake = Intake(node, statistics, lambda: None)
        inputs = Inputs(node, intake, statistics, 10, is_reliable=False)
        subscribe(node, plan.config.node, inputs)
        watched |= inputs.watched
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    return watched


def subscribe_loop_closure(node, config, inputs):
    host = make_host(node, config, inputs, lambda: None)
    ImageSource(
        node,
        config,
        inputs,
        lambda _picture: None,
        lambda: None,
        needs_camera_info=host.needs_camera_info,
    )


def subscribe_odometry_alone(node, config, inputs):
    subscribe_odometry(node, config, inputs, lambda _message: None)


@pytest.mark.parametrize('setup', SETUPS.values(), ids=SETUPS)
def test_every_input_has_a_place_and_every_place_an_input(setup, domain):
    plans = [
        make_plan(setup, Choices(namespace='ours', parameters={'node.use_depth': has_depth}))
        for has_depth in (True, False)
    ]
    watched = inputs_of(plans[0]) | inputs_of(plans[1])
    needed = {name for name, item in watched.items() if not item.is_optional} - ABSOLUTE
    assert needed <= plans[0].remaps.keys()
    others = (
        {names.MATCH_POINTS, names.RELO_RELATIVE_POSE} if plans[0].config.node.feedback else set()
    )
    assert plans[0].remaps.keys() <= watched.keys() | others
    for name, item in watched.items():
        if name in plans[0].remaps:
            assert item.topic == plans[0].remaps[name]


def test_each_setup_has_its_launch_file_and_its_configuration():
    launch = {path.name.removesuffix('.launch.py') for path in (ROOT / 'launch').glob('*.py')}
    configs = {path.stem for path in (ROOT / 'config').glob('*.yaml')}
    cameras = {setup.camera for setup in SETUPS.values() if setup.camera}
    assert launch == set(SETUPS)
    assert set(SETUPS) | cameras <= configs


def test_the_page_on_hosts_names_every_setup_and_only_existing_parameters():
    text = (ROOT / 'docs' / 'hosts.md').read_text()
    for setup in SETUPS.values():
        assert f'{setup.name}.launch.py' in text
        assert f's3e-gnn run {setup.name}' in text
    from s3e_gnn_ros.config import leaves

    known = {leaf.name for leaf in leaves()}
    sections = '|'.join({name.partition('.')[0] for name in known})
    for name in re.findall(rf'\b(?:{sections})\.[a-z]\w+', text):
        assert name in known or name.endswith(('.py', '.md', '.yaml')), name
