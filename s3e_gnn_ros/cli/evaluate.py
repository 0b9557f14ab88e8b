"""``s3e-gnn evaluate``: compare retrieval methods on recordings, with intervals."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3e_gnn_ros.evaluation.retrieval_options import RetrievalOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'recordings',
        type=Path,
        nargs='+',
        metavar='RECORDING',
        help='recording with true poses and depth, or a folder of images with --labels',
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='result folder')
    parser.add_argument(
        '--retrieval',
        default='s3e,bow',
        metavar='METHOD,...',
        help='s3e, s3e-encoder (without GNN), bow; s3e@WEIGHTS: other weights, by name or file '
        '(%(default)s)',
    )
    parser.add_argument(
        '--variants',
        default='plain',
        metavar='NAME,...',
        help='plain, or joined by +: rot<deg>, blur, dark, dis; such as rot20+dark+dis '
        '(%(default)s)',
    )
    parser.add_argument(
        '--seeds', type=int, default=3, metavar='N', help='draws of blur and dark (%(default)s)'
    )
    parser.add_argument(
        '--bootstrap', type=int, default=1000, metavar='N', help='draws of queries (%(default)s)'
    )
    parser.add_argument(
        '--distractors',
        type=Path,
        nargs='+',
        default=[],
        metavar='DIR',
        help='folders of images of other places, in the database of variants with dis',
    )
    parser.add_argument(
        '--no-verification', action='store_true', help='leave out geometric verification'
    )
    parser.add_argument(
        '--relocalise-every',
        type=int,
        default=0,
        metavar='N',
        help='locate every N-th frame of the second half in the first (0: none)',
    )
    parser.add_argument(
        '--min-gap',
        type=int,
        default=15,
        metavar='N',
        help='query i may match keyframes up to i - N (%(default)s)',
    )
    parser.add_argument(
        '--config', type=Path, metavar='YAML', help='settings that differ from the defaults'
    )
    _add_labels(parser.add_argument_group('labels', 'places of images that have no poses'))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate, write the result folder, print the tables."""
    from s3e_gnn_ros.config import Config
    from s3e_gnn_ros.config_file import load_config
    from s3e_gnn_ros.evaluation.retrieval_evaluation import evaluate_retrieval

    options = _options(args)
    config = load_config(args.config) if args.config else Config()
    result = evaluate_retrieval(args.recordings, args.out, options, config, _say)
    if not args.json:
        for path in sorted(args.out.rglob('tables.md')):
            print(path.read_text(encoding='utf-8'))
        print(f'written to {args.out}')
    return result


def _add_labels(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--labels', type=Path, metavar='CSV', help='image,place,position,group,near'
    )
    group.add_argument(
        '--database',
        type=Path,
        metavar='DIR',
        help='images the queries are compared with (their own folder)',
    )
    group.add_argument(
        '--positive-within',
        type=float,
        default=math.inf,
        metavar='D',
        help='positions in one place this close are the same (any)',
    )
    group.add_argument(
        '--negative-beyond',
        type=float,
        default=math.inf,
        metavar='D',
        help='positions in one place further apart are different (none)',
    )


def _options(args: argparse.Namespace) -> RetrievalOptions:
    from s3e_gnn_ros.evaluation.retrieval_labels import Nearness
    from s3e_gnn_ros.evaluation.retrieval_options import RetrievalOptions

    return RetrievalOptions(
        methods=tuple(filter(None, args.retrieval.split(','))),
        variants=tuple(filter(None, args.variants.split(','))),
        num_seeds=args.seeds,
        num_bootstrap=args.bootstrap,
        min_gap=args.min_gap,
        labels=args.labels,
        database=args.database,
        distractors=tuple(args.distractors),
        nearness=Nearness(args.positive_within, args.negative_beyond),
        verify=not args.no_verification,
        relocalise_every=args.relocalise_every,
    )


def _say(step: str) -> None:
    print(step, file=sys.stderr, flush=True)
