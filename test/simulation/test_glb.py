"""GLB files: transforms, colours and depth by hand; errors in one sentence; the shared worlds."""

from pathlib import Path

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import make_pose
from s3e_gnn_ros.simulation.glb import load_glb
from s3e_gnn_ros.simulation.motion import R_BODY_OPTICAL
from s3e_gnn_ros.simulation.renderer import Renderer
from s3e_gnn_ros.simulation.scenes import open_scene
from s3e_gnn_ros.simulation.view_groups import view_groups

trimesh = pytest.importorskip('trimesh')
Image = pytest.importorskip('PIL.Image')
WORLDS = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'worlds'
CAMERA = PinholeCamera(161, 121, 100.0, 100.0, 80.0, 60.0)
FORWARD = make_pose(R_BODY_OPTICAL, (0, 0, 0))
TOP, BOTTOM, PLAIN = (200, 100, 50), (20, 60, 120), (90, 150, 30)


def quad(material):
    """A square of side 2 in the plane x = 0 that a camera looking along x sees upright."""
    vertices = [[0, 1, -1], [0, -1, -1], [0, -1, 1], [0, 1, 1]]
    visual = trimesh.visual.TextureVisuals([[0, 0], [1, 0], [1, 1], [0, 1]], material=material)
    return trimesh.Trimesh(vertices, [[0, 1, 2], [0, 2, 3]], visual=visual, process=False)


@pytest.fixture(name='path', scope='module')
def _path(tmp_path_factory):
    """A picture at x = 2 to the left (nested nodes, scaled), a plain one at x = 4 to the right."""
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:32], picture[32:] = TOP, BOTTOM
    pbr = trimesh.visual.material.PBRMaterial
    scene = trimesh.Scene()
    move, half = np.eye(4), np.diag([0.5, 0.5, 0.5, 1.0])
    move[:3, 3], half[:3, 3] = (2, 0, 0), (0, 0.5, 0)
    scene.graph.update('room', 'world', matrix=move)
    textured = quad(pbr(baseColorTexture=Image.fromarray(picture)))
    scene.add_geometry(textured, 'picture', parent_node_name='room', transform=half)
    move = np.eye(4)
    move[:3, 3] = (4, -1, 0)
    scene.add_geometry(quad(pbr(baseColorFactor=(*PLAIN, 255))), 'plain', transform=move)
    path = tmp_path_factory.mktemp('glb') / 'scene.glb'
    path.write_bytes(scene.export(file_type='glb'))
    return path


def test_colours_and_depth_are_where_the_transforms_say(path):
    scene = load_glb(path)
    assert len(scene.triangles_m) == 4
    image, depth = Renderer(scene, has_antialiasing=False).render(FORWARD, CAMERA)
    left, right = depth[:, 40], depth[:, 110]
    assert np.allclose(left[(left > 0)], 2.0, atol=1e-4)
    assert np.count_nonzero(left) == pytest.approx(50, abs=1)  # 1 m high at 2 m
    assert np.allclose(right[(right > 0)], 4.0, atol=1e-4)
    assert np.count_nonzero(right) == pytest.approx(50, abs=1)  # 2 m high at 4 m
    light = scene.light[0, 0]
    for (y, x), rgb in {(45, 40): TOP, (75, 40): BOTTOM, (60, 110): PLAIN}.items():
        factor = scene.light[2 if x == 110 else 0].mean(axis=0)
        assert np.abs(image[y, x] - np.array(rgb[::-1]) * factor).max() < 8
    assert (light > 0.4).all()


def test_light_is_seeded_and_the_same_from_both_sides(path):
    assert (load_glb(path, 1).light == load_glb(path, 1).light).all()
    assert (load_glb(path, 1).light != load_glb(path, 2).light).any()


def test_refuses_what_is_no_scene(tmp_path):
    broken = tmp_path / 'broken.glb'
    broken.write_bytes(b'no scene at all')
    empty = tmp_path / 'empty.glb'
    empty.write_bytes(b'')
    for file in (broken, empty, tmp_path / 'missing.glb', tmp_path / 'scene.obj'):
        with pytest.raises(InputError, match=file.name) as caught:
            open_scene(file, 0)
        assert '\n' not in str(caught.value)
    with pytest.raises(InputError, match='seed -1'):
        open_scene('building', -1)


@pytest.mark.skipif(not WORLDS.is_dir(), reason='needs the shared worlds')
@pytest.mark.parametrize('name', ['bookstore'])
def test_shared_world_renders(name):
    scene = open_scene(WORLDS / f'{name}.glb', 0)
    camera = PinholeCamera(160, 120, 96.0, 96.0, 80.0, 60.0)
    ((frame,),) = view_groups(scene, 1, 1, 0, camera)
    assert (frame.depth_m > 0).mean() >= 0.95
    assert np.median(frame.depth_m) >= 0.8
    assert frame.image.std() > 10
