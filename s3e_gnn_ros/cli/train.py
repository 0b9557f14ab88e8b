"""``s3e-gnn train``: build training sets, train encoder and GNN, fit the calibration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3e_gnn_ros.errors import ConfigError

if TYPE_CHECKING:
    from s3e_gnn_ros.training.distributed import Placement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be done, each with its options."""
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    for name, text in (
        ('data', 'build a training set of views, or embedding sequences for the GNN'),
        ('encoder', 'train an encoder on training sets of views'),
        ('gnn', 'train a GNN on embedding sequences'),
        ('calibrate', 'fit what a similarity means, and store it with the weights'),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument('--config', type=Path, required=True, metavar='FILE.yaml')
        action.add_argument('--out', type=Path, required=True, metavar=_OUT[name])
        action.add_argument(
            '--set',
            action='append',
            default=[],
            metavar='NAME=VALUE',
            help='another value, such as stages.local.steps=100 or loop.seed=1; again for more',
        )
        if name in ('encoder', 'gnn'):
            text = 'go on from the checkpoint in DIR'
            action.add_argument('--resume', action='store_true', help=text)
    text = 'write the model card of a run: data, configuration, curves, limits'
    card = actions.add_parser('card', help=text, description=text)
    card.add_argument('run', type=Path, help='folder of the run')
    card.add_argument('--out', type=Path, required=True, metavar='DIR')
    for action in actions.choices.values():
        # Behind the action as well as before it; what is not given there is left as it is.
        action.add_argument('--json', action='store_true', default=argparse.SUPPRESS)
    card.add_argument('--title', default='Model card', help='heading (%(default)s)')


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Do what was asked for."""
    result = _ACTIONS[args.action](args)
    if not args.json:
        for name, text in result.items():
            print(f'{name}: {text}')
    return result


def _build_data(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.training.data_config import DataBuildConfig, build_sequences, build_views
    from s3e_gnn_ros.training.section import read_section

    config = read_section(DataBuildConfig, args.config, overrides(args.set))
    build = build_sequences if config.source == 'sequences' else build_views
    return build(config, args.out)


def _train_encoder(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.training.encoder_training import EncoderRun
    from s3e_gnn_ros.training.section import read_section
    from s3e_gnn_ros.training.train_config import EncoderTrainConfig
    from s3e_gnn_ros.training.view_source import ViewData

    config = read_section(EncoderTrainConfig, args.config, overrides(args.set))
    data = ViewData(config)
    return _train(args, config, lambda place: EncoderRun(config, data, args.out, place))


def _train_gnn(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.training.gnn_config_file import GNNTrainConfig
    from s3e_gnn_ros.training.gnn_training import GNNRun
    from s3e_gnn_ros.training.section import read_section

    config = read_section(GNNTrainConfig, args.config, overrides(args.set))
    return _train(args, config, lambda place: GNNRun(config, args.out, place))


def _train(
    args: argparse.Namespace, config: Any, make_run: Callable[[Placement], Any]
) -> dict[str, Any]:
    """Run in this process, or in this one of several; only the first reports."""
    import torch

    from s3e_gnn_ros.training.curves import Curves
    from s3e_gnn_ros.training.distributed import placement
    from s3e_gnn_ros.training.run_folder import check_resumed, start_run

    if config.loop.threads:
        torch.set_num_threads(config.loop.threads)
    with placement(config.loop.device) as place:
        run = make_run(place)  # what is wrong with the data is said before there is a folder
        if args.resume:
            check_resumed(args.out, config)
        elif place.is_first:
            start_run(args.out, config)
        curves = Curves(args.out, is_active=place.is_first)
        if place.is_first and not curves.has_tensorboard:
            print("no TensorBoard: pip install 's3e_gnn_ros[training]'", file=sys.stderr)
        try:
            result: dict[str, Any] = run.run(curves, resume=args.resume)
        finally:
            curves.close()
        return result if place.is_first else {}


def _calibrate(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.training.calibration_fit import CalibrationConfig, calibrate
    from s3e_gnn_ros.training.section import read_section

    config = read_section(CalibrationConfig, args.config, overrides(args.set))
    return {'weights': str(args.out), **calibrate(config, args.out)}


def _write_card(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.training.model_card import write_model_card

    return dict(write_model_card(args.run, args.out, args.title))


def overrides(settings: list[str]) -> dict[str, str]:
    """Split ``NAME=VALUE``.

    Raises:
        ConfigError: there is no ``=``.
    """
    pairs = [setting.partition('=') for setting in settings]
    for name, separator, _ in pairs:
        if not separator:
            raise ConfigError(f"--set '{name}' is not NAME=VALUE")
    return {name: text for name, _, text in pairs}


_OUT = {'data': 'DIR', 'encoder': 'DIR', 'gnn': 'DIR', 'calibrate': 'FILE.safetensors'}

_ACTIONS = {
    'data': _build_data,
    'encoder': _train_encoder,
    'gnn': _train_gnn,
    'calibrate': _calibrate,
    'card': _write_card,
}
