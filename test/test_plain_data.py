"""Files and texts that are no plain data, or more than anybody wants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3e_gnn_ros.config_file import load_config
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.plain_data import MAX_YAML_BYTES, parse_json, parse_yaml, read_bytes, read_text


def test_a_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'one\r\ntwo\rthree\n')
    assert read_bytes(path, 15) == b'one\r\ntwo\rthree\n'
    assert read_text(path) == 'one\ntwo\nthree\n'
    with pytest.raises(OSError, match='14 are the limit'):
        read_bytes(path, 14)


def test_a_sparse_file_of_a_terabyte_is_not_read(tmp_path):
    path = tmp_path / 'large'
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match='limit'):
        read_bytes(path, 1 << 30)


def test_devices_pipes_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    for path in (Path('/dev/zero'), tmp_path / 'pipe'):
        with pytest.raises(OSError, match='no regular file'):
            read_bytes(path, 100)
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path, 100)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('a: &x 1\nb: *x', 'alias'),
        ('&a [*a]', 'alias'),
        ('2001-99-99', 'month'),
        ('!!python/object/apply:os.abort []', 'constructor'),
        ('[' * 100_000, 'deep'),
        ('9' * 5000, 'digits'),
        ('a: [', 'flow'),
        ('a' * (MAX_YAML_BYTES + 1), 'characters'),
        ('!!int a', 'invalid literal'),
        ('!!timestamp a', 'value'),
    ],
)
def test_yaml_that_is_no_plain_data(text, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        parse_yaml(text)
    path = tmp_path / 'a.yaml'
    path.write_text(text)
    with pytest.raises(ConfigError, match=r'a\.yaml'):
        load_config(path)


def test_yaml_that_is():
    assert parse_yaml('a: [1, 2.5, x]\nb: {c: true}') == {'a': [1, 2.5, 'x'], 'b': {'c': True}}


@pytest.mark.parametrize('text', ['[' * 100_000, '{', '', '1' * 5000])
def test_json_that_is_no_data(text):
    with pytest.raises(ValueError, match=r'deep|Expecting|digits'):
        parse_json(text)
