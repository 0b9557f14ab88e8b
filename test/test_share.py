"""Configurations are found however the package was installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.share import config_file, share_folder

ROOT = Path(__file__).resolve().parents[1]


def install(prefix: Path, site: str) -> tuple[Path, Path]:
    """Make the folders of an installation; returns those of the package and of its data."""
    package, share = prefix / site / 's3e_gnn_ros', prefix / 'share' / 's3e_gnn_ros'
    package.mkdir(parents=True)
    (share / 'config').mkdir(parents=True)
    (share / 'config' / 'default.yaml').touch()
    return package, share


def test_the_source_tree_has_them_beside_the_package() -> None:
    assert share_folder(ROOT / 's3e_gnn_ros') == ROOT


@pytest.mark.parametrize(
    'site',
    [
        'lib/python3.11/site-packages',  # a virtual environment, pip --user, colcon
        'local/lib/python3.12/dist-packages',  # colcon on Ubuntu
        '.',  # pip --target
    ],
)
def test_an_installation_has_them_in_its_prefix(tmp_path: Path, site: str) -> None:
    package, share = install(tmp_path, site)
    assert share_folder(package) == share


def test_the_nearest_prefix_wins(tmp_path: Path) -> None:
    install(tmp_path, 'lib/python3.11/site-packages')
    package, share = install(tmp_path / 'overlay', 'lib/python3.11/site-packages')
    assert share_folder(package) == share


def test_a_linked_source_tree_is_found_through_the_link(tmp_path: Path) -> None:
    (tmp_path / 's3e_gnn_ros').symlink_to(ROOT / 's3e_gnn_ros')
    assert share_folder(tmp_path / 's3e_gnn_ros') == ROOT


def test_a_linked_install_space_is_not_left(tmp_path: Path) -> None:
    """``colcon build --symlink-install`` links into the sources, which may have moved on."""
    package, share = install(tmp_path / 'install', 'lib/python3.11/site-packages')
    package.rmdir()
    package.symlink_to(ROOT / 's3e_gnn_ros')
    assert share_folder(package) == share


def test_without_them_one_sentence_says_so(tmp_path: Path) -> None:
    package = tmp_path / 'lib' / 's3e_gnn_ros'
    package.mkdir(parents=True)
    with pytest.raises(InputError, match='installed without its configurations'):
        share_folder(package)


def test_a_configuration_is_a_name_or_a_path() -> None:
    assert config_file('d455_640x480') == ROOT / 'config' / 'd455_640x480.yaml'
    assert config_file('mine.yaml') == Path('mine.yaml')
    assert config_file('of/mine') == Path('of/mine')
    with pytest.raises(InputError, match=r"no configuration 'd999': .*d455_848x480"):
        config_file('d999')
