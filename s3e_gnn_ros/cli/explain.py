"""``s3e-gnn explain``: why two keyframes of a map have a loop closure, or why not."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3e_gnn_ros.cli.map_file import map_file
from s3e_gnn_ros.errors import InputError

if TYPE_CHECKING:
    from s3e_gnn_ros.map_store.store import MapStore
    from s3e_gnn_ros.types import KeyframeKey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare map, keyframes and output."""
    parser.add_argument('name', metavar='MAP', help='its name, or a file')
    for name, text in (('query', 'the keyframe that asks'), ('match', 'the other')):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help=f'{text}: SESSION/ID, or ID alone in a map of one session',
        )
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='write story.txt, story.json and matches.png here'
    )
    parser.add_argument('--config', type=Path, metavar='YAML', help='settings of the detector')
    parser.add_argument(
        '--directory', default='', metavar='DIR', help='of the maps (that of the nodes)'
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Tell the story of a pair."""
    from s3e_gnn_ros.config import Config
    from s3e_gnn_ros.config_file import load_config
    from s3e_gnn_ros.evaluation.explanation_dict import story_dict
    from s3e_gnn_ros.evaluation.explanation_text import story_text
    from s3e_gnn_ros.map_store.pair_story import story_of_map
    from s3e_gnn_ros.map_store.store import MapStore

    config = load_config(args.config) if args.config else Config()
    with MapStore.open(map_file(args.directory, args.name), read_only=True) as store:
        keys = _key(store, args.query), _key(store, args.match)
        story = story_of_map(store, config, *keys)
    result, text = story_dict(story), story_text(story)
    if args.out is not None:
        from s3e_gnn_ros.evaluation.explanation_image import draw_story
        from s3e_gnn_ros.evaluation.pair_images import encode

        _write(args.out, text, result, encode(draw_story(story), '.png'))
    if not args.json:
        print(text)
    return result


def _key(store: MapStore, text: str) -> KeyframeKey:
    """Return the keyframe that SESSION/ID or ID names.

    Raises:
        InputError: it is written otherwise, or ID alone does not tell which.
    """
    from s3e_gnn_ros.types import KeyframeKey

    session, _, number = text.rpartition('/')
    if not number.isdecimal() or not (session.isdecimal() or '/' not in text):
        raise InputError(f"keyframe '{text}' is not written as SESSION/ID or ID")
    if session:
        return KeyframeKey(int(session), int(number))
    sessions = [row.session for row in store.sessions()]
    if len(sessions) != 1:
        raise InputError(
            f"map '{store.path}' has {len(sessions)} sessions: write keyframe '{text}' as "
            'SESSION/ID'
        )
    return KeyframeKey(sessions[0], int(number))


def _write(folder: Path, text: str, result: dict[str, Any], png: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'story.txt').write_text(text + '\n')
        (folder / 'story.json').write_text(json.dumps(result, indent=2) + '\n')
        (folder / 'matches.png').write_bytes(png)
    except OSError as err:
        raise InputError(f"'{folder}' cannot be written: {err.strerror}") from err
