"""Nodes as processes of their own, without ROS's launch. Imports no ROS itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import s3e_gnn_ros
from s3e_gnn_ros.errors import S3EError
from s3e_gnn_ros.ros.setup_plan import BOTH, Plan, parse_remaps

NODE_MODULES = {
    'loop_closure': 's3e_gnn_ros.ros.loop_closure_node',
    'pose_graph': 's3e_gnn_ros.ros.pose_graph_node',
    BOTH: 's3e_gnn_ros.ros.both_nodes',
}
_CLI_MODULE = 's3e_gnn_ros.cli.main'
_END_TIMEOUT_S = 10.0
_START_TIMEOUT_S = 60.0


class ChildError(S3EError):
    """A child process ended too early."""


def node_command(name: str, arguments: Sequence[str]) -> list[str]:
    """Return the command line of one of ``NODE_MODULES``."""
    return [sys.executable, '-m', NODE_MODULES[name], *arguments]


def cli_command(arguments: Sequence[str]) -> list[str]:
    """Return the command line of an ``s3e-gnn`` command."""
    return [sys.executable, '-m', _CLI_MODULE, *arguments]


def player_command(plan: Plan, bag: str, rate: str) -> list[str]:
    """Return the command line that plays a bag once the nodes of a plan listen."""
    transports = ('', '/compressed', '/compressedDepth')
    topics = [topic + transport for topic in plan.remaps.values() for transport in transports]
    wait = ['--wait-for-subscribers', str(_START_TIMEOUT_S), '--wait-for', *topics]
    return cli_command(['play', bag, '--rate', rate, *wait])


def ros_arguments(
    config: Path | Sequence[Path] | None = None,
    remaps: Sequence[str] = (),
    namespace: str = '',
    *,
    use_sim_time: bool = False,
    parameters: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return ROS's part of a node's command line.

    Args:
        config: parameter file, or several of which the later ones win.
        remaps: each FROM:=TO.
        namespace: of the node.
        use_sim_time: take the time from /clock.
        parameters: over the files, by dotted name.

    Raises:
        ConfigError: a remapping is not FROM:=TO.
    """
    files = [] if config is None else [config] if isinstance(config, Path) else config
    arguments = ['--ros-args']
    for file in files:
        arguments += ['--params-file', str(file)]
    for source, target in parse_remaps(remaps).items():
        arguments += ['-r', f'{source}:={target}']
    if namespace:
        arguments += ['-r', f'__ns:=/{namespace.strip("/")}']
    if use_sim_time:
        arguments += ['-p', 'use_sim_time:=true']
    for name, value in (parameters or {}).items():
        arguments += ['-p', f'{name}:={json.dumps(value)}']  # YAML too, and a text stays a text
    return arguments


def plan_arguments(plan: Plan) -> list[str]:
    """Return ROS's part of the command line of each node of a plan."""
    return ros_arguments(
        plan.files,
        [f'{source}:={target}' for source, target in plan.remaps.items()],
        plan.namespace,
        use_sim_time=plan.use_sim_time,
        parameters=plan.parameters,
    )


def plan_commands(plan: Plan) -> dict[str, list[str]]:
    """Return the command line of each node of a plan."""
    return {name: node_command(name, plan_arguments(plan)) for name in plan.nodes}


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment, in which children find this very package."""
    root = str(Path(s3e_gnn_ros.__file__).resolve().parents[1])
    paths = [root, *filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(paths), **(extra or {})}


class Child:
    """A process that is ended with its owner; it gets no signal from the terminal.

    Args:
        name: for messages.
        command: command line.
        environment: the whole of it; this process's own when None.
        folder: where its output goes, as ``<name>.log`` and ``<name>.out``; None: it shares ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.log = None if folder is None else folder / f'{name}.log'
        self._out = None if folder is None else folder / f'{name}.out'
        files = [path.open('wb') for path in (self._out, self.log) if path is not None]
        out, log = files or (None, None)
        try:
            self.process = subprocess.Popen(
                list(command),
                env=dict(child_environment() if environment is None else environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )
        finally:
            for file in files:
                file.close()

    def __enter__(self) -> Child:
        """Return itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process."""
        self.stop()

    @property
    def returncode(self) -> int | None:
        """Exit status; None while it runs."""
        return self.process.poll()

    def output(self) -> str:
        """Return what it has written to its standard output so far."""
        return '' if self._out is None else self._out.read_text(encoding='utf-8', errors='replace')

    def check_alive(self) -> None:
        """Raise ChildError, with its last words, if it has ended."""
        if self.returncode is not None:
            raise ChildError(self._obituary())

    def check_done(self) -> None:
        """Raise ChildError, with its last words, if it has ended with a failure."""
        if self.returncode not in (None, 0):
            raise ChildError(self._obituary())

    def _obituary(self) -> str:
        lines: list[str] = []
        if self.log is not None:
            text = self.log.read_text(encoding='utf-8', errors='replace')
            lines = [line.strip() for line in text.splitlines() if line.strip()]
        last = lines[-1] if lines else 'it said nothing'
        return f'{self.name} ended with status {self.returncode}: {last} (log: {self.log})'

    def stop(self, timeout_s: float = _END_TIMEOUT_S) -> None:
        """Interrupt it, and kill it when it does not end in time."""
        if self.returncode is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def wait_for_first(
    children: Sequence[Child], helpers: Sequence[Child] = (), period_s: float = 0.1
) -> int:
    """Wait until one ends or this process is told to, then end the others.

    Args:
        children: the end of one is the end of all.
        helpers: may come to a good end before; a failure counts.
        period_s: between two looks at them [s].

    Returns:
        The exit status of the first that ended, 128 plus the signal if one killed it; 0 when
        SIGINT or SIGTERM to this process ended them all.
    """
    stopped_by: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {
        n: signal.signal(n, lambda number, _frame: stopped_by.append(number)) for n in numbers
    }
    try:
        while not stopped_by and not _ended(children, helpers):
            time.sleep(period_s)
        codes = _ended(children, helpers)
        for child in (*helpers, *children):
            child.stop()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if stopped_by or not codes:
        return 0
    return codes[0] if codes[0] >= 0 else 128 - codes[0]


def _ended(children: Sequence[Child], helpers: Sequence[Child]) -> list[int]:
    """Return the exit statuses that end the wait."""
    codes = [child.returncode for child in children]
    codes += [helper.returncode for helper in helpers if helper.returncode != 0]
    return [code for code in codes if code is not None]
