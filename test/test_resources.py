"""Packaged files are found, and missing ones said."""

import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.resources import packaged_file


def test_finds_a_file_of_a_subpackage():
    assert packaged_file('retrieval/interface.py').read_text().startswith('"""')


@pytest.mark.parametrize('name', ['retrieval', 'retrieval/none.npz', 'none/none.npz'])
def test_missing_file(name):
    with pytest.raises(InputError, match=f"lacks its file '{name}'"):
        packaged_file(name)
