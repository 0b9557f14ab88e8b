"""Stamps in text, as long and as large as somebody may write them."""

from __future__ import annotations

import pytest

from s3e_gnn_ros.data.trajectory_file import nanoseconds, seconds_to_ns
from s3e_gnn_ros.errors import DropError


@pytest.mark.parametrize(
    'text', ['1e999999', '1e99999999', '-1', 'nan', 'inf', '', 'x', '9' * 5000]
)
def test_seconds_that_are_none(text):
    with pytest.raises(DropError) as caught:
        seconds_to_ns(text)
    assert caught.value.reason == 'stamp'


@pytest.mark.parametrize('text', ['9' * 5000, '-1', '1.5', '', 'x', str(2**63)])
def test_nanoseconds_that_are_none(text):
    with pytest.raises(DropError) as caught:
        nanoseconds(text)
    assert caught.value.reason == 'stamp'


def test_those_that_are():
    assert seconds_to_ns('1305031102.175304') == 1305031102175304000
    assert seconds_to_ns('9223372036.854775807') == 2**63 - 1
    assert seconds_to_ns('1e-999999') == 0
    assert nanoseconds(str(2**63 - 1)) == 2**63 - 1
