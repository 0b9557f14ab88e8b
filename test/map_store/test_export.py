"""Maps in other systems' formats, and back."""

import cv2
import numpy as np
import pytest
from made_up_map import make_keyframe
from synthetic import CAMERA, START_NS, make_frame, out_and_back

from s3e_gnn_ros.config import config_from_dict
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.build import build_map
from s3e_gnn_ros.map_store.export import export_map
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.vins_import import import_vins
from s3e_gnn_ros.pose_graph.g2o import read_g2o

CONFIG = config_from_dict(
    {
        'retrieval': {'method': 'bow', 'min_keyframe_gap': 3, 'min_time_gap_s': 0.5},
        'features': {'num_features': 300},
    }
)
T_BODY_CAMERA = se3.expmap([0.1, -1.2, 0.3, 0.05, -0.02, 0.1])


@pytest.fixture(scope='module')
def poses():
    return out_and_back(12)


@pytest.fixture(scope='module')
def path(tmp_path_factory, poses):
    """A map with loops: out and back along the same way."""
    path = tmp_path_factory.mktemp('maps') / 'room.s3emap'
    frames = (make_frame(T, START_NS + k * 10**9) for k, T in enumerate(poses))
    build_map(path, frames, CONFIG, session=5)
    return path


@pytest.fixture
def room(path):
    with MapStore.open(path, read_only=True) as store:
        assert store.closures()
        yield store


def test_tum_holds_the_corrected_poses(room, tmp_path):
    export_map(room, 'tum', tmp_path / 'new' / 'a.tum')
    table = np.loadtxt(tmp_path / 'new' / 'a.tum')
    rows = room.rows()
    assert table[:, 0] == pytest.approx(rows.stamps_ns / 1e9)
    assert table[:, 1:4] == pytest.approx(rows.T_map_camera[:, :3, 3], abs=1e-6)


def test_g2o_holds_odometry_and_loops(room, tmp_path):
    export_map(room, 'g2o', tmp_path / 'a.g2o')
    graph = read_g2o(tmp_path / 'a.g2o')
    assert len(graph) == room.num_keyframes
    assert len(graph.edge_ids) == room.num_keyframes - 1 + len(room.closures())
    np.testing.assert_allclose(graph.poses, room.rows().T_map_camera, atol=1e-3)


def test_a_line_of_vins_is_what_vins_reads(room, tmp_path):
    """Fields by hand, as VINS's own scanf takes them: index, stamp, VIO_T, PG_T, VIO_Q ..."""
    export_map(room, 'vins', tmp_path, T_body_camera=T_BODY_CAMERA)
    lines = [line.split() for line in (tmp_path / 'pose_graph.txt').read_text().splitlines()]
    rows, closures = room.rows(), room.closures()
    assert [len(line) for line in lines] == [26] * len(rows)
    best = max(
        (c for c in closures if c.query_id == closures[0].query_id), key=lambda c: c.similarity
    )
    line = [float(word) for word in lines[best.query_id]]
    T_camera_body = se3.inverse(T_BODY_CAMERA)
    T_world_body = rows.T_odom_camera[best.query_id] @ T_camera_body
    assert int(line[0]) == best.query_id
    assert line[1] == pytest.approx(rows.stamps_ns[best.query_id] / 1e9)
    assert line[2:5] == pytest.approx(T_world_body[:3, 3].tolist(), abs=1e-8)
    w, x, y, z = line[8:12]
    assert abs(se3.quat_xyzw(T_world_body) @ [x, y, z, w]) == pytest.approx(1.0)
    assert int(line[16]) == best.match_id
    relative = T_BODY_CAMERA @ best.T_match_query @ T_camera_body
    assert line[17:20] == pytest.approx(relative[:3, 3].tolist(), abs=1e-8)
    assert line[24] == pytest.approx(np.degrees(np.arctan2(relative[1, 0], relative[0, 0])))
    points = np.loadtxt(tmp_path / f'{best.query_id}_keypoints.txt')
    assert len(points) == int(line[25])
    assert CAMERA.normalise(points[:, :2]) == pytest.approx(points[:, 2:], abs=1e-6)


def test_vins_files_come_back(room, tmp_path, poses):
    """Without images: poses and loops, in the same frames."""
    export_map(room, 'vins', tmp_path / 'vins', T_body_camera=T_BODY_CAMERA)
    back = tmp_path / 'back.s3emap'
    number = import_vins(tmp_path / 'vins', back, CONFIG, T_BODY_CAMERA)
    assert number == room.num_keyframes
    with MapStore.open(back, read_only=True) as found:
        before, after = room.rows(), found.rows()
        np.testing.assert_allclose(after.T_odom_camera, before.T_odom_camera, atol=1e-7)
        np.testing.assert_allclose(after.T_map_camera, before.T_map_camera, atol=1e-7)
        assert (after.stamps_ns == before.stamps_ns).all()
        for closure in found.closures():
            (same,) = [
                c
                for c in room.closures()
                if (c.query_id, c.match_id) == (closure.query_id, closure.match_id)
            ]
            np.testing.assert_allclose(closure.T_match_query, same.T_match_query, atol=1e-7)
        assert found.closures()
        assert found.weights_digest == ''


def test_with_images_an_imported_map_can_be_searched(room, tmp_path, poses):
    export_map(room, 'vins', tmp_path / 'vins')
    for index, key in enumerate(room.rows().keys):
        frame = make_frame(poses[key.keyframe_id])
        cv2.imwrite(str(tmp_path / 'vins' / f'{index}_image.png'), frame.image)
    import_vins(tmp_path / 'vins', tmp_path / 'back.s3emap', CONFIG)
    with MapStore.open(tmp_path / 'back.s3emap', read_only=True) as found:
        view = found.view(found.rows().keys[4])
        assert view.camera.fx == pytest.approx(CAMERA.fx, rel=1e-3)
        assert view.camera.cx == pytest.approx(CAMERA.cx, abs=0.5)
        assert len(view.features) > 200
        assert view.features.has_landmark.sum() > 50  # triangulated between keyframes
    (tmp_path / 'vins' / '3_image.png').unlink()
    with pytest.raises(InputError, match='3_image'):
        import_vins(tmp_path / 'vins', tmp_path / 'other.s3emap', CONFIG)
    assert not (tmp_path / 'other.s3emap').exists()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda words: words[:-1], '25 values'),
        (lambda words: ['x', *words[1:]], 'line 2'),
        (lambda words: [words[0], 'nan', *words[2:]], 'line 2'),
        (lambda words: [words[0], '0.5', *words[2:]], 'back in time'),
        (lambda words: ['7', *words[1:]], 'in order'),
        (lambda words: [*words[:16], '1', *words[17:]], 'loops lead back'),
        (lambda words: [*words[:8], '0', '0', '0', '0', *words[12:]], 'length 0'),
        (lambda words: [*words[:2], 'inf', *words[3:]], 'numbers'),
    ],
)
def test_a_damaged_pose_graph_is_told_in_one_sentence(room, tmp_path, change, message):
    export_map(room, 'vins', tmp_path / 'vins')
    file = tmp_path / 'vins' / 'pose_graph.txt'
    lines = file.read_text().splitlines()
    lines[1] = ' '.join(change(lines[1].split()))
    file.write_text('\n'.join(lines))
    with pytest.raises(InputError, match=message):
        import_vins(tmp_path / 'vins', tmp_path / 'a.s3emap', CONFIG)
    assert not (tmp_path / 'a.s3emap').exists()


def test_poses_that_were_never_stored_are_solved(store, tmp_path):
    """A map whose node was killed before the first correction still has its odometry."""
    for number in range(3):
        store.add(make_keyframe(number))
    export_map(store, 'tum', tmp_path / 'a.tum')
    assert np.isfinite(np.loadtxt(tmp_path / 'a.tum')).all()


def test_wrong_wishes_are_refused(store, tmp_path):
    with pytest.raises(InputError, match='no keyframe'):
        export_map(store, 'tum', tmp_path / 'a.tum')
    with pytest.raises(InputError, match="'kml'"):
        export_map(store, 'kml', tmp_path / 'a.kml')


@pytest.mark.parametrize('word', ['1e300', 'inf', 'nan', '-1e6'])
def test_keypoints_that_no_image_has_are_refused(word, tmp_path):
    """The camera could not be found by them, and OpenCV would fail on them."""
    line = '0 1.5 0 0 0 0 0 0 1 0 0 0 1 0 0 0 -1 0 0 0 1 0 0 0 0 9\n'
    (tmp_path / 'pose_graph.txt').write_text(line)
    rows = [f'{60 * k + 40} {40 * k + 30} {0.1 * k} {0.05 * k}\n' for k in range(8)]
    (tmp_path / '0_keypoints.txt').write_text(''.join([*rows, f'{word} 1 0 0\n']))
    cv2.imwrite(str(tmp_path / '0_image.png'), np.zeros((480, 640), np.uint8))
    with pytest.raises(InputError, match='keypoint'):
        import_vins(tmp_path, tmp_path / 'a.s3emap', CONFIG)
    assert not (tmp_path / 'a.s3emap').exists()
