"""Rays against triangles, by Embree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s3e_gnn_ros.errors import DependencyError


class Hits(NamedTuple):
    """First hits of N rays.

    Attributes:
        triangles: (N,) int32, -1 where nothing was hit.
        distances: (N,) float32 in units of the ray's direction; meaningless without a hit.
        u: (N,) float32 barycentric weight of the second corner.
        v: (N,) float32 barycentric weight of the third corner.
    """

    triangles: NDArray[np.int32]
    distances: NDArray[np.float32]
    u: NDArray[np.float32]
    v: NDArray[np.float32]


class RayCaster:
    """A search tree over triangles.

    Args:
        triangles_m: (T, 3, 3) float32 corners.

    Raises:
        DependencyError: embreex is not installed.
    """

    def __init__(self, triangles_m: NDArray[np.float32]) -> None:
        """Build the tree."""
        try:
            from embreex.mesh_construction import TriangleMesh
            from embreex.rtcore_scene import EmbreeScene
        except ImportError as err:
            raise DependencyError(
                f"rendering needs embreex ({err}): pip install 's3e_gnn_ros[simulation]'"
            ) from err
        self._scene = EmbreeScene()
        # The scene refers to the mesh, so both have to live as long.
        self._mesh = TriangleMesh(self._scene, np.ascontiguousarray(triangles_m, np.float32))

    def cast(self, origins_m: ArrayLike, directions: NDArray[np.float32]) -> Hits:
        """Find the first hit of rays from one origin (3,) or many (N, 3); directions (N, 3)."""
        origins = np.broadcast_to(np.asarray(origins_m, np.float32), directions.shape)
        result = self._scene.run(origins, np.ascontiguousarray(directions), output=1)
        return Hits(result['primID'], result['tfar'], result['u'], result['v'])

    def distances_m(
        self, origins_m: ArrayLike, directions: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Distances (N,) in units of the directions (N, 3); inf where nothing is hit."""
        hits = self.cast(origins_m, directions)
        return np.where(hits.triangles >= 0, hits.distances, np.float32(np.inf))
