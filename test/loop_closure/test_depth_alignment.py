import numpy as np
import pytest
from synthetic import BACK_WALL, CORNER, DEPTH_CAMERA, WALLS, look_at, render_depth

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.loop_closure.clouds import CloudCache
from s3e_gnn_ros.loop_closure.depth_alignment import (
    align,
    back_project,
    depth_agreement,
    fuse,
    make_cloud,
)
from s3e_gnn_ros.loop_closure.view import DepthImage, View

TARGET = CORNER - [0.6, 0.4, 0.3]
T_WORLD_MATCH = look_at([-0.6, -0.2, 1.2], TARGET)
T_WORLD_QUERY = look_at([-0.2, -0.3, 1.3], TARGET)
T_MATCH_QUERY = se3.inverse(T_WORLD_MATCH) @ T_WORLD_QUERY
BARREL = PinholeCamera(160, 120, 150.0, 150.0, 80.0, 60.0, (-0.28, 0.0, 0.0, 0.0))


def depth_from(T_world_camera, walls=WALLS, camera=DEPTH_CAMERA):
    return DepthImage(render_depth(camera, T_world_camera, walls), camera)


def clouds(walls=WALLS):
    depths = depth_from(T_WORLD_MATCH, walls), depth_from(T_WORLD_QUERY, walls)
    return [make_cloud(depth, 0.3, 8.0) for depth in depths]


@pytest.mark.parametrize('camera', [DEPTH_CAMERA, BARREL], ids=['rectified', 'distorted'])
def test_back_projected_points_lie_on_the_walls(camera):
    depth = depth_from(T_WORLD_MATCH, camera=camera)
    points = se3.transform_points(T_WORLD_MATCH, back_project(depth, 1, 0.0, np.inf))
    assert len(points) == depth.depth_m.size
    assert np.abs(points[:, None] - CORNER).min(axis=2).max() < 1e-5


def test_back_projection_leaves_out_what_is_unknown_or_out_of_range():
    depth_m = np.array([[0.0, 1.0, 2.0], [5.0, 0.2, 9.0]], dtype=np.float32)
    depth = DepthImage(depth_m, PinholeCamera(3, 2, 1.0, 1.0, 1.0, 0.0))
    np.testing.assert_allclose(
        back_project(depth, 1, 0.3, 8.0), [[0, 0, 1], [2, 0, 2], [-5, 5, 5]], atol=1e-6
    )
    np.testing.assert_allclose(back_project(depth, 2, 0.3, 8.0), [[2, 0, 2]], atol=1e-6)


@pytest.mark.parametrize('seed', range(4))
def test_a_small_displacement_is_recovered_in_a_corner(seed):
    off = np.random.default_rng(seed).normal(0, [0.01] * 3 + [0.03] * 3)
    T, information = align(*clouds(), T_MATCH_QUERY @ se3.expmap(off), 0.1)
    error = se3.logmap(se3.inverse(T) @ T_MATCH_QUERY)
    assert np.linalg.norm(error[:3]) < np.radians(0.2)
    assert np.linalg.norm(error[3:]) < 0.008
    np.testing.assert_allclose(information, information.T, rtol=1e-6, atol=1e-3)
    variances = np.diag(np.linalg.inv(information))
    assert np.sqrt(variances[3:].max()) < 0.05
    assert error @ information @ error < 22.5


def test_one_wall_says_little_along_itself():
    _, information = align(*clouds(BACK_WALL), T_MATCH_QUERY, 0.1)
    R_query_world = T_WORLD_QUERY[:3, :3].T
    of_translation = R_query_world.T @ information[3:, 3:] @ R_query_world
    along, normal = np.diag(of_translation)[:2], of_translation[2, 2]
    assert normal > 1000 * along.max()


def test_in_front_of_one_wall_the_open_directions_come_from_pnp():
    """PnP is 4 cm off along the wall and 4 cm into it; depth mends only the second."""
    wall_normal = T_WORLD_QUERY[:3, :3].T @ [0.0, 0.0, 1.0]
    along = T_WORLD_QUERY[:3, :3].T @ [1.0, 0.0, 0.0]
    T_pnp = T_MATCH_QUERY @ se3.make_pose(None, 0.04 * along + 0.04 * wall_normal)
    information = np.diag([1 / np.radians(1.0) ** 2] * 3 + [1 / 0.04**2] * 3)
    aligned = align(*clouds(BACK_WALL), T_pnp, 0.1)
    T, _ = fuse(T_pnp, information, *aligned)
    error = (se3.inverse(T_MATCH_QUERY) @ T)[:3, 3]
    assert abs(error @ wall_normal) < 0.01
    assert error @ along == pytest.approx(0.04, abs=0.012)


def test_too_few_points_make_no_cloud():
    depth = depth_from(T_WORLD_MATCH)
    depth.depth_m[:, 3:] = 0.0
    assert make_cloud(depth, 0.3, 8.0) is None
    assert make_cloud(depth_from(T_WORLD_MATCH), 0.3, 0.5) is None


def test_clouds_far_apart_do_not_align():
    start = T_MATCH_QUERY @ se3.make_pose(None, [0.0, 0.0, 30.0])
    assert align(*clouds(), start, 0.1) is None


def test_fuse_is_the_product_of_two_gaussians():
    rng = np.random.default_rng(3)
    T = se3.expmap(rng.normal(size=6))
    xi = rng.normal(0, 1e-4, 6)  # the closed form is exact in the limit of small steps
    A, B = rng.normal(size=(2, 6, 6))
    P, Q = A @ A.T + np.eye(6), B @ B.T + np.eye(6)
    fused, information = fuse(T, P, T @ se3.expmap(xi), Q)
    covariance = np.linalg.inv(P + Q)
    np.testing.assert_allclose(information, P + Q)
    np.testing.assert_allclose(
        se3.logmap(se3.inverse(T) @ fused), covariance @ (Q @ xi), rtol=1e-6, atol=1e-12
    )


def test_fuse_follows_the_one_that_knows():
    T_b = se3.make_pose(None, [1.0, 2.0, 3.0])
    knows_x, knows_rest = np.zeros((6, 6)), np.eye(6)
    knows_x[3, 3], knows_rest[3, 3] = 1.0, 0.0
    fused, _ = fuse(np.eye(4), knows_rest, T_b, knows_x)
    np.testing.assert_allclose(fused, se3.make_pose(None, [1.0, 0, 0]), atol=1e-12)


def test_two_images_of_one_room_agree():
    found = depth_agreement(depth_from(T_WORLD_MATCH), depth_from(T_WORLD_QUERY), T_MATCH_QUERY)
    assert found.overlap > 0.7
    assert found.agreement > 0.99


def with_box(depth, depth_m):
    """Put something into the middle of the image."""
    out = depth.depth_m.copy()
    out[40:80, 50:110] = depth_m
    return DepthImage(out, depth.camera)


def test_a_point_in_space_seen_to_be_empty_contradicts():
    match, query = depth_from(T_WORLD_MATCH), depth_from(T_WORLD_QUERY)
    found = depth_agreement(match, with_box(query, 1.0), T_MATCH_QUERY)
    assert found.agreement < 0.9
    everywhere = DepthImage(np.full_like(query.depth_m, 1.0), query.camera)
    assert depth_agreement(match, everywhere, T_MATCH_QUERY).agreement < 0.05


def test_a_point_behind_what_the_match_saw_is_only_hidden():
    match, query = depth_from(T_WORLD_MATCH), depth_from(T_WORLD_QUERY)
    found = depth_agreement(with_box(match, 1.0), query, T_MATCH_QUERY)
    assert found.agreement > 0.99
    assert found.overlap > 0.7


def test_pixels_without_depth_do_not_overlap():
    match, query = depth_from(T_WORLD_MATCH), depth_from(T_WORLD_QUERY)
    whole = depth_agreement(match, query, T_MATCH_QUERY).overlap
    found = depth_agreement(with_box(match, 0.0), query, T_MATCH_QUERY)
    assert 0.1 < found.overlap < whole - 0.1
    assert found.agreement > 0.99
    nothing = DepthImage(np.zeros_like(match.depth_m), match.camera)
    assert depth_agreement(nothing, query, T_MATCH_QUERY).overlap == 0.0
    assert depth_agreement(match, nothing, T_MATCH_QUERY).overlap == 0.0


def test_cameras_back_to_back_do_not_overlap():
    turned = T_MATCH_QUERY @ se3.expmap([0, np.pi, 0, 0, 0, 0])
    found = depth_agreement(depth_from(T_WORLD_MATCH), depth_from(T_WORLD_QUERY), turned)
    assert found.overlap == 0.0


def test_a_distorted_image_does_not_see_what_lies_far_outside():
    """The polynomial of a barrel lens maps points 60 degrees aside back into the image."""
    aside = np.tan(np.radians(60.0))
    assert 0 < BARREL.project(np.array([[aside, 0.0, 1.0]]))[0, 0] < BARREL.width
    match = depth_from(np.eye(4), BACK_WALL, BARREL)
    query = DepthImage(np.full((120, 160), 2.0, dtype=np.float32), DEPTH_CAMERA)
    turned = se3.expmap([0, np.radians(85.0), 0, 0, 0, 0])
    corners = np.linalg.norm(BARREL.normalise(np.array([[159.0, 119.0]])))
    half_views_deg = np.degrees(np.arctan([corners, np.hypot(80, 60) / 120]))
    assert half_views_deg.sum() < 85.0  # the two fields of view do not meet
    assert depth_agreement(match, query, turned).overlap == 0.0
    # What it does see, it still finds.
    same = depth_agreement(match, match, np.eye(4))
    assert same.overlap > 0.95
    assert same.agreement > 0.99


def test_the_cache_makes_each_cloud_once_and_forgets_the_oldest():
    depth = depth_from(T_WORLD_MATCH)
    views = [View(i, 1, i, DEPTH_CAMERA, None, depth) for i in range(3)]
    cache = CloudCache(0.3, 8.0, size=2)
    first = cache.get(views[0], depth)
    second = cache.get(views[1], depth)
    assert cache.get(views[0], depth) is first
    cache.get(views[2], depth)  # pushes the second out, which was used longest ago
    assert cache.get(views[0], depth) is first
    assert cache.get(views[1], depth) is not second
