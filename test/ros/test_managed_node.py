"""Transitions and parameters of a lifecycle node, with a role that can be made to fail."""

from __future__ import annotations

import threading

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecyclePublisher, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import Trigger

from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.ros.deferred import Job
from s3e_gnn_ros.ros.managed_node import ManagedNode
from s3e_gnn_ros.ros.role import Role
from s3e_gnn_ros.ros.worker import Worker

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR
NUM_THREADS = 'tested_role'


class TestedRole(Role):
    """Creates one of each kind, and raises what it is told to."""

    __test__ = False
    depth = capacity = 3
    is_busy = False
    raises: dict
    made: list

    def __init__(self, node, config):
        self.made.append(self)
        self.node = node
        self.calls = []
        self.configs = [config]
        self.publisher = node.create_publisher(String, 'said', 1)
        node.create_service(Trigger, 'plain', lambda _request, response: response)
        self.worker = Worker(lambda job: job.run(), capacity=5, name=NUM_THREADS)
        try:
            self._may_raise('configure')
        except Exception:
            self.worker.close()
            raise
        node.deferred.create(Trigger, 'deferred', self._answer, lambda: self.worker)

    def activate(self):
        self.calls.append('activate')
        self.node.create_subscription(String, 'heard', lambda _message: None, 1)
        self.node.create_timer(60.0, lambda: None)
        self._may_raise('activate')
        self.publisher.publish(String(data='active'))

    def deactivate(self):
        self.calls.append('deactivate')
        self._may_raise('deactivate')

    def set_config(self, config):
        self.configs.append(config)

    def close(self):
        self.calls.append('close')
        self.worker.close()
        self._may_raise('close')

    def _answer(self, _request, response):
        response.message = 'done'

    def _may_raise(self, step):
        if step in self.raises:
            raise self.raises[step]


class Scene:
    """A node, its roles so far, and what it has created."""

    def __init__(self, context):
        self.raises, self.roles = {}, []
        kind = type('Told', (TestedRole,), {'raises': self.raises, 'made': self.roles})
        self.node = ManagedNode('tested', 'get_statistics', kind, context=context)
        self.bare = self.entities()

    def entities(self):
        node = self.node
        kinds = (node.publishers, node.subscriptions, node.services, node.clients, node.timers)
        return {entity for kind in kinds for entity in kind}

    def topics(self):
        return {e.topic_name for e in self.entities() - self.bare if hasattr(e, 'topic_name')}

    def set(self, **values):
        parameters = [Parameter(n.replace('__', '.'), value=v) for n, v in values.items()]
        return self.node.set_parameters_atomically(parameters)


@pytest.fixture
def scene(domain):
    context = rclpy.Context()
    rclpy.init(context=context)
    scene = Scene(context)
    yield scene
    scene.node.close()
    scene.node.destroy_node()
    rclpy.try_shutdown(context=context)


def num_threads():
    return sum(thread.name == NUM_THREADS for thread in threading.enumerate())


def test_each_state_has_what_it_needs_and_no_more(scene):
    node = scene.node
    assert node.state == 'unconfigured'
    for _ in range(3):
        assert node.trigger_configure() == SUCCESS
        assert (node.state, scene.topics()) == ('inactive', {'/said'})
        assert num_threads() == 1
        assert node.trigger_activate() == SUCCESS
        assert (node.state, scene.topics()) == ('active', {'/said', '/heard'})
        assert node.trigger_deactivate() == SUCCESS
        assert (node.state, scene.topics()) == ('inactive', {'/said'})
        assert node.trigger_cleanup() == SUCCESS
        assert node.state == 'unconfigured'
        # The service whose work takes long stays, to give those who wait an answer.
        (kept,) = scene.entities() - scene.bare
        assert node.deferred.owns(kept)
        assert num_threads() == 0
    assert len(scene.roles) == 3


def test_publishers_of_the_role_are_silent_unless_the_node_is_active(scene):
    node = scene.node
    said = []
    listener = node.create_subscription(String, 'said', lambda m: said.append(m.data), 10)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    node.trigger_configure()
    publisher = scene.roles[0].publisher
    assert isinstance(publisher, LifecyclePublisher)
    publisher.publish(String(data='inactive'))
    while publisher.get_subscription_count() == 0:
        executor.spin_once(timeout_sec=0.1)
    node.trigger_activate()  # the role says a word in it
    while not said:
        executor.spin_once(timeout_sec=0.1)
    node.trigger_deactivate()
    publisher.publish(String(data='inactive again'))
    executor.spin_once(timeout_sec=0.5)
    assert said == ['active']
    node.destroy_subscription(listener)
    executor.shutdown()


@pytest.mark.parametrize('err', [InputError('no such map'), ConfigError('a bad value')])
def test_a_refused_configuration_leaves_nothing_and_another_may_follow(scene, err, capfd):
    scene.raises['configure'] = err
    assert scene.node.trigger_configure() == FAILURE
    assert scene.node.state == 'unconfigured'
    assert scene.entities() == scene.bare
    assert num_threads() == 0
    assert capfd.readouterr().err.count(str(err)) == 1
    scene.raises.clear()
    assert scene.node.start()
    assert scene.node.state == 'active'


def test_a_refused_activation_leaves_the_node_inactive(scene):
    scene.raises['activate'] = ConfigError('tf2_msgs is not installed')
    assert not scene.node.start()
    assert (scene.node.state, scene.topics()) == ('inactive', {'/said'})
    scene.raises.clear()
    assert scene.node.trigger_activate() == SUCCESS


@pytest.mark.parametrize('step', ['configure', 'activate', 'deactivate'])
def test_a_bug_in_a_transition_ends_unconfigured_with_its_traceback_in_the_log(scene, step, capfd):
    scene.raises[step] = ZeroDivisionError('a bug')
    node = scene.node
    results = [node.trigger_configure()]
    if step != 'configure':
        results.append(node.trigger_activate())
    if step == 'deactivate':
        results.append(node.trigger_deactivate())
    assert results[-1] == ERROR
    logged = capfd.readouterr().err
    assert 'Traceback' in logged
    assert 'ZeroDivisionError: a bug' in logged
    scene.raises.clear()
    assert node.state == 'unconfigured'
    assert not scene.topics()
    assert num_threads() == 0
    assert node.start()


def test_what_cannot_be_closed_cleanly_is_freed_all_the_same(scene):
    scene.node.start()
    scene.raises['close'] = ZeroDivisionError('a bug')
    assert scene.node.trigger_shutdown() == ERROR
    assert scene.node.state == 'unconfigured'  # by way of the error
    assert scene.roles[0].calls == ['activate', 'close']
    assert not scene.topics()
    assert num_threads() == 0


def test_a_bug_at_the_start_is_raised(scene):
    scene.raises['configure'] = ZeroDivisionError('a bug')
    with pytest.raises(ZeroDivisionError, match='a bug'):
        scene.node.start()


@pytest.mark.parametrize('triggers', [(), ('configure',), ('configure', 'activate')])
def test_shutdown_frees_everything_from_every_state(scene, triggers):
    for name in triggers:
        getattr(scene.node, f'trigger_{name}')()
    assert scene.node.trigger_shutdown() == SUCCESS
    assert scene.node.state == 'finalized'
    assert not scene.topics()
    assert num_threads() == 0


def test_a_transition_that_is_impossible_does_not_end_the_process(scene, monkeypatch):
    """As rclpy of Humble and Jazzy raises it out of the service."""

    def change_state(_transition_id):
        raise RuntimeError('Transition is not registered')

    monkeypatch.setattr(scene.node, '_LifecycleNodeMixin__change_state', change_state)
    response = scene.node._service_change_state.callback(
        ChangeState.Request(), ChangeState.Response()
    )
    assert not response.success


@pytest.fixture
def ask(scene):
    """Return a function that asks a service of the node, and gives the future of its answer."""
    executor = SingleThreadedExecutor(context=scene.node.context)
    executor.add_node(scene.node)
    client = scene.node.create_client(Trigger, 'deferred')

    def call():
        future = client.call_async(Trigger.Request())
        future.spin = lambda: executor.spin_until_future_complete(future, timeout_sec=20)
        return future

    yield call, executor, client
    scene.node.destroy_client(client)
    executor.shutdown()


def test_who_waits_for_an_answer_on_cleanup_gets_one(scene, ask):
    call, executor, client = ask
    node = scene.node
    node.trigger_configure()
    assert client.wait_for_service(20)
    gate = threading.Event()
    worker = scene.roles[0].worker
    worker.offer(Job(gate.wait))
    future = call()
    while worker.depth == 0:
        executor.spin_once(timeout_sec=0.1)
    threading.Timer(0.2, gate.set).start()
    assert node.trigger_cleanup() == SUCCESS
    future.spin()
    assert not future.result().success
    again = call()
    again.spin()
    assert again.result().message == 'tested is unconfigured'
    node.trigger_configure()
    anew = call()
    anew.spin()
    assert (anew.result().success, anew.result().message) == (True, 'done')


def test_a_request_that_waits_when_the_process_ends_is_in_nobodys_way(scene, ask):
    call, executor, client = ask
    scene.node.start()
    assert client.wait_for_service(20)
    gate = threading.Event()
    worker = scene.roles[0].worker
    worker.offer(Job(gate.wait))
    call()
    while worker.depth == 0:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    rclpy.try_shutdown(context=scene.node.context)
    threading.Timer(0.2, gate.set).start()
    scene.node.close()
    assert num_threads() == 0


def test_any_parameter_may_change_while_unconfigured(scene):
    assert scene.set(retrieval__method='bow', verification__min_inliers=30).successful
    scene.node.trigger_configure()
    config = scene.roles[0].configs[0]
    assert (config.retrieval.method, config.verification.min_inliers) == ('bow', 30)


def test_a_configured_node_takes_thresholds_and_says_what_to_do_about_others(scene):
    scene.node.trigger_configure()
    role = scene.roles[0]
    assert scene.set(verification__min_inliers=30, keyframes__min_translation_m=1).successful
    assert role.configs[1].verification.min_inliers == 30
    assert role.configs[1].keyframes.min_translation_m == 1.0
    assert scene.node.get_parameter('keyframes.min_translation_m').value == 1.0
    refused = scene.set(verification__min_inliers=40, retrieval__method='bow')
    assert not refused.successful
    assert refused.reason == (
        'retrieval.method takes effect when the node is configured: deactivate the node, clean it '
        'up, set retrieval.method, then configure'
    )
    assert scene.node.get_parameter('verification.min_inliers').value == 30
    assert len(role.configs) == 2
    assert scene.set(retrieval__method='s3e').successful  # as it is


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        (
            {'verification__min_inliers': 3},
            'verification.min_inliers is 3 instead of at least 4',
        ),
        (
            {'verification__min_inliers': 'many'},
            "verification.min_inliers is 'many' instead of a value of type int",
        ),
        (
            {'keyframes__min_interval_s': float('nan')},
            'keyframes.min_interval_s is NaN',
        ),
        (
            {'node__correction': 'sometimes'},
            "node.correction is 'sometimes' instead of one of instant, smooth",
        ),
        (
            {'node__autostart': False},
            'node.autostart is looked at when the process starts, and not again',
        ),
    ],
)
def test_a_wrong_value_is_refused_with_the_value_in_every_state(scene, values, reason):
    for trigger in (None, scene.node.trigger_configure, scene.node.trigger_activate):
        if trigger is not None:
            trigger()
        result = scene.set(**values)
        assert not result.successful
        assert result.reason == reason
    assert scene.roles[0].configs == [scene.node.config]


def test_parameters_of_ros_itself_are_left_to_it(scene):
    scene.node.trigger_configure()
    assert scene.set(use_sim_time=True).successful
    assert not scene.node.set_parameters([Parameter('use_sim_time', value='yes')])[0].successful
    assert len(scene.roles[0].configs) == 1
