"""Open a scene by name: the procedural building, or a GLB file."""

from __future__ import annotations

from pathlib import Path

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.building import make_building
from s3e_gnn_ros.simulation.glb import load_glb
from s3e_gnn_ros.simulation.picture_folder import PictureFolder
from s3e_gnn_ros.simulation.scene import Scene

BUILDING = 'building'


def open_scene(name_or_path: str | Path, seed: int, folder: PictureFolder | None = None) -> Scene:
    """Make the procedural building, or load a GLB file.

    Args:
        name_or_path: 'building', or the path of a file that ends in .glb.
        seed: of the building's looks, or of the light in a file's scene.
        folder: pictures for the building (see ``load_pictures``); a file's scene has its own.

    Raises:
        InputError: the seed is negative, or there is no such scene.
        DependencyError: a library of the simulation is not installed.
    """
    if seed < 0:
        raise InputError(f'seed {seed} is negative')
    if str(name_or_path) == BUILDING:
        return make_building(seed, folder)
    if Path(name_or_path).suffix.lower() != '.glb':
        raise InputError(
            f"scene '{name_or_path}' is neither '{BUILDING}' nor a file that ends in .glb"
        )
    return load_glb(name_or_path, seed)
