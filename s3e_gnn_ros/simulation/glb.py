"""Load a scene from a binary glTF file: geometry, textures, and light fixed to the building."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError, InputError
from s3e_gnn_ros.simulation.lighting import directional_light
from s3e_gnn_ros.simulation.scene import MAX_MIP_LEVELS, Scene, Texture

# Coarse levels of an atlas mix its islands: textures this large and not repeated are atlases.
_ATLAS_PX = 2048
_ATLAS_MAX_MIP_LEVEL = 3
_GREY = (153, 153, 153)
_WHITE = (255, 255, 255)


def load_glb(path: Path | str, seed: int = 0) -> Scene:
    """Load the triangles of a GLB file as they are: metres, z up.

    Node transforms are applied to vertices and normals. Of a material counts its base colour,
    texture times factor as display values; alpha, emission, specular and normal maps do not.
    The file's lights are not read either; light comes from ``directional_light`` instead.

    Args:
        path: of the file.
        seed: of the light.

    Raises:
        InputError: the file is missing, is no GLB, or holds no triangles.
        DependencyError: trimesh is not installed.
    """
    file = _open_file(Path(path))
    textures, parts = _Textures(), []
    with _told(Path(path)):  # textures are decoded here
        for node in file.graph.nodes_geometry:
            transform, name = file.graph[node]
            mesh = file.geometry[name]
            if len(getattr(mesh, 'faces', ())):
                parts.append(_read_part(mesh, np.asarray(transform, np.float64), textures))
    if not parts:
        raise InputError(f'{path} holds no triangles')
    triangles, normals, uvs, ids = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if not all(np.isfinite(each.astype(np.float32)).all() for each in (triangles, normals, uvs)):
        raise InputError(f'{path} holds corners that are not finite')
    return Scene(
        triangles_m=triangles.astype(np.float32),
        uvs=uvs.astype(np.float32),
        texture_ids=ids.astype(np.int32),
        textures=tuple(textures.pictures),
        light=directional_light(triangles, normals, seed),
        max_mip_levels=_mip_limits(textures.pictures, uvs, ids),
    )


class _Part(NamedTuple):
    """Corners (T, 3, 3) and their normals in the world, uvs (T, 3, 2), texture ids (T,)."""

    triangles_m: NDArray[np.float64]
    normals: NDArray[np.float64]
    uvs: NDArray[np.float64]
    texture_ids: NDArray[np.int32]


def _open_file(path: Path) -> Any:
    try:
        import trimesh
    except ImportError as err:
        raise DependencyError(
            f"reading GLB files needs trimesh ({err}): pip install 's3e_gnn_ros[simulation]'"
        ) from err
    if not path.is_file():
        raise InputError(f'there is no scene file {path}')
    if path.suffix.lower() != '.glb':
        raise InputError(f'scene file {path} does not end in .glb')
    with _told(path):
        return trimesh.load_scene(path, file_type='glb', process=False)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the reader's libraries raise on a damaged file into one sentence."""
    try:
        yield
    except Exception as err:  # it fails in any of them
        reason = ' '.join(str(err).split()) or type(err).__name__
        raise InputError(f'{path} cannot be read as GLB: {reason}') from err


def _read_part(mesh: Any, T_world_mesh: NDArray[np.float64], textures: _Textures) -> _Part:
    linear = T_world_mesh[:3, :3]
    vertices = np.asarray(mesh.vertices) @ linear.T + T_world_mesh[:3, 3]
    # Normals turn with the inverse transpose: a scaled axis would tilt them otherwise.
    normals = np.asarray(mesh.vertex_normals) @ np.linalg.pinv(linear)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    uvs = getattr(mesh.visual, 'uv', None)
    uvs = np.zeros((len(vertices), 2)) if uvs is None else np.asarray(uvs, np.float64)
    faces = np.asarray(mesh.faces)
    number = textures.number_of(mesh.visual)
    return _Part(vertices[faces], normals[faces], uvs[faces], np.full(len(faces), number))


@dataclass
class _Textures:
    """Base colours met so far; meshes with the same picture and factor share one."""

    pictures: list[Texture] = field(default_factory=list)
    _numbers: dict[tuple[int, tuple[int, int, int]], int] = field(default_factory=dict)

    def number_of(self, visual: Any) -> int:
        """Return the index of a mesh's base colour in ``pictures``, added when new."""
        image, factor = _base_colour(visual)
        default = _WHITE if image is not None else _GREY
        r, g, b = (int(c) for c in (default if factor is None else factor)[:3])
        rgb = (r, g, b)
        key = (id(image), rgb)
        if key not in self._numbers:
            self._numbers[key] = len(self.pictures)
            self.pictures.append(_picture(image, rgb))
        return self._numbers[key]


def _base_colour(visual: Any) -> tuple[Any, Any]:
    """Texture (a PIL image) and factor (4,) of a mesh; None for what it does not have."""
    material: Any = getattr(visual, 'material', None)
    if material is None:
        return None, getattr(visual, 'main_color', None)
    if hasattr(material, 'to_pbr'):
        material = material.to_pbr()
    return material.baseColorTexture, material.baseColorFactor


def _picture(image: Any, rgb: tuple[int, int, int]) -> Texture:
    """Base colour as a picture: texture times factor, or the factor alone."""
    pixels = np.full((4, 4, 3), 255, np.uint8)
    if image is not None:
        pixels = np.asarray(image.convert('RGB'))
    if rgb != _WHITE:
        pixels = np.round(pixels * (np.array(rgb) / 255)).astype(np.uint8)
    return np.ascontiguousarray(pixels[..., ::-1])


def _mip_limits(
    pictures: list[Texture], uvs: NDArray[np.float64], ids: NDArray[np.int32]
) -> tuple[int, ...]:
    return tuple(_limits(pictures, uvs, ids))


def _limits(
    pictures: list[Texture], uvs: NDArray[np.float64], ids: NDArray[np.int32]
) -> Iterator[int]:
    for number, picture in enumerate(pictures):
        is_atlas = min(picture.shape[:2]) >= _ATLAS_PX
        if is_atlas:
            mine = uvs[ids == number]
            is_atlas = bool(((mine > -0.01) & (mine < 1.01)).all())
        yield _ATLAS_MAX_MIP_LEVEL if is_atlas else MAX_MIP_LEVELS - 1
