"""One building for all tests of this folder: it takes seconds to make."""

import numpy as np
import pytest

from s3e_gnn_ros.simulation.building import make_building
from s3e_gnn_ros.simulation.mesh import MeshBuilder
from s3e_gnn_ros.simulation.recording import SimulationOptions, plan_motion


@pytest.fixture(scope='session')
def building():
    return make_building(0)


@pytest.fixture(scope='session')
def motion(building):
    return plan_motion(building, SimulationOptions(seed=0))


@pytest.fixture(scope='session')
def hall():
    """An empty hall 4 x 3 x 2.5 m of one random texture, seen from inside."""
    mesh = MeshBuilder(cell_m=1.0)
    texture = np.random.default_rng(1).integers(30, 220, (50, 50, 3), dtype=np.uint8)
    image = mesh.add_texture(np.kron(texture, np.ones((8, 8, 1), np.uint8)))
    mesh.add_box((2, 1.5, 0), (4, 3, 2.5), image, skip=())
    return mesh.build()[0]
