"""What a set-up and a person's choices come to: nodes, files, parameters, remappings. No ROS."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s3e_gnn_ros.config import Config, config_from_dotted, leaves
from s3e_gnn_ros.config_file import load_config
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.plain_data import parse_yaml
from s3e_gnn_ros.ros.setups import CAMERA_TOPICS, Setup
from s3e_gnn_ros.share import config_file

NODES = ('loop_closure', 'pose_graph')
BOTH = 'both'
"""All of ``NODES`` in one process."""
_NAME = re.compile(r'/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*')


@dataclass(frozen=True)
class Choices:
    """What a person may choose; what is left out is as the set-up has it.

    Attributes:
        namespace: of our nodes.
        host_namespace: where the host's topics begin.
        camera: profile in ``config/``, or a file; empty: none.
        camera_prefix: where the camera's topics begin.
        retrieval: method; empty: as the configuration says.
        image_transport: raw or compressed; empty: as the configuration says.
        has_back_end: whether the pose graph node is started.
        is_one_process: whether all nodes share a process.
        autostart: whether they become active by themselves; None: as the configuration says.
        map_name: map to write.
        map_load: map to begin with.
        config: the person's own file, over the set-up's and the camera's.
        parameters: by dotted name, over all files.
        remaps: over those of the set-up.
        use_sim_time: whether time comes from /clock.
    """

    namespace: str = ''
    host_namespace: str | None = None
    camera: str | None = None
    camera_prefix: str | None = None
    retrieval: str = ''
    image_transport: str = ''
    has_back_end: bool = True
    is_one_process: bool = False
    autostart: bool | None = None
    map_name: str = ''
    map_load: str = ''
    config: Path | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remaps: Mapping[str, str] = field(default_factory=dict)
    use_sim_time: bool | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be started.

    Attributes:
        nodes: of ``NODES``, or ``BOTH``.
        namespace: of the nodes.
        files: parameter files, the later ones over the earlier.
        parameters: over the files; by dotted name.
        remaps: our name of a topic -> where it is.
        use_sim_time: whether time comes from /clock.
        config: what files and parameters come to.
    """

    nodes: tuple[str, ...]
    namespace: str
    files: tuple[Path, ...]
    parameters: Mapping[str, Any]
    remaps: Mapping[str, str]
    use_sim_time: bool
    config: Config


def make_plan(setup: Setup | None, choices: Choices) -> Plan:
    """Work out what to start.

    Args:
        setup: the host system; None: nothing but what the choices say.
        choices: of the person.

    Raises:
        ConfigError: a name, a file or a value is wrong.
        InputError: there is no such configuration in the package.
    """
    files = _files(setup, choices)
    config = Config()
    for file in files:
        config = load_config(file, config)
    given: dict[str, Any] = {
        'retrieval.method': choices.retrieval,
        'node.image_transport': choices.image_transport,
        'map.name': choices.map_name,
        'map.load': choices.map_load,
    }
    given = {name: value for name, value in given.items() if value} | dict(choices.parameters)
    if choices.autostart is not None:
        given['node.autostart'] = choices.autostart
    config = config_from_dotted(given, config)
    values = {leaf.name: leaf.default for leaf in leaves(config)}  # an int may have become a float
    sim_time = choices.use_sim_time
    if sim_time is None:
        sim_time = setup is not None and setup.use_sim_time
    return Plan(
        nodes=_nodes(choices),
        namespace=_checked('namespace', choices.namespace).strip('/'),
        files=files,
        parameters={name: values[name] for name in given},
        remaps=_remaps(setup, choices),
        use_sim_time=sim_time,
        config=config,
    )


def parse_parameters(items: Iterable[str]) -> dict[str, Any]:
    """Read ``section.name=value`` pairs; a value is YAML, unless a text is wanted.

    Raises:
        ConfigError: no such pair, no such name, or no YAML.
    """
    known = {leaf.name: leaf.default for leaf in leaves()}
    parameters = {}
    for item in items:
        name, equals, text = item.partition('=')
        if not equals:
            raise ConfigError(f"parameter is '{item}' instead of NAME=VALUE")
        if name not in known:
            raise ConfigError(f"there is no parameter '{name}'")
        try:
            parameters[name] = text if isinstance(known[name], str) else parse_yaml(text)
        except ValueError as err:
            raise ConfigError(f"parameter {name} is '{text}', which is no YAML value") from err
    return parameters


def parse_remaps(items: Iterable[str]) -> dict[str, str]:
    """Read ``FROM:=TO`` pairs.

    Raises:
        ConfigError: no such pair.
    """
    remaps = {}
    for item in items:
        source, _, target = item.partition(':=')
        if not source or not target:
            raise ConfigError(f"remapping is '{item}' instead of FROM:=TO")
        remaps[source] = target
    return remaps


def _nodes(choices: Choices) -> tuple[str, ...]:
    if not choices.has_back_end:
        return NODES[:1]
    return (BOTH,) if choices.is_one_process else NODES


def _files(setup: Setup | None, choices: Choices) -> tuple[Path, ...]:
    camera = choices.camera
    if camera is None:
        camera = '' if setup is None else setup.camera
    files = [] if setup is None else [config_file(setup.name)]
    files += [config_file(camera)] if camera else []
    return (*files, *([] if choices.config is None else [choices.config]))


def _remaps(setup: Setup | None, choices: Choices) -> dict[str, str]:
    if setup is None:
        for name in ('host_namespace', 'camera_prefix'):
            if getattr(choices, name) is not None:
                raise ConfigError(f'a {name.replace("_", " ")} needs a set-up whose topics move')
        return dict(choices.remaps)
    if choices.host_namespace is not None and not setup.namespace_argument:
        raise ConfigError(f"set-up '{setup.name}' has no host whose namespace could be given")
    prefix = _root('camera prefix', choices.camera_prefix, setup.camera_prefix)
    host = _root('host namespace', choices.host_namespace, setup.host_namespace)
    remaps = {ours: f'{prefix}/{theirs}' for ours, theirs in CAMERA_TOPICS.items()}
    for ours, theirs in setup.host_topics.items():
        remaps[ours] = theirs if theirs.startswith('/') else f'{host}/{theirs}'
    return remaps | dict(choices.remaps)


def _root(kind: str, given: str | None, default: str) -> str:
    """Return an absolute prefix without a slash at its end; empty for the root itself."""
    name = _checked(kind, default if given is None else given).strip('/')
    return f'/{name}' if name else ''


def _checked(kind: str, name: str) -> str:
    if name.strip('/') and not _NAME.fullmatch(name.rstrip('/')):
        raise ConfigError(f"{kind} is '{name}', which is no ROS name")
    return name
