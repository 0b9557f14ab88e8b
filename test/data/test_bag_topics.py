import pytest

from s3e_gnn_ros.data.bag_topics import Topic, choose_topics
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.errors import RecordingError

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
INFO = 'sensor_msgs/msg/CameraInfo'
ODOMETRY = 'nav_msgs/msg/Odometry'
POSE = 'geometry_msgs/msg/PoseStamped'

D455 = [
    Topic('/camera/infra1/image_rect_raw', IMAGE, 90, 'mono8'),
    Topic('/camera/infra1/camera_info', INFO, 90),
    Topic('/camera/color/image_raw', IMAGE, 30, 'rgb8', size=(640, 480)),
    Topic('/camera/color/camera_info', INFO, 30),
    Topic('/camera/depth/image_rect_raw', IMAGE, 90, '16UC1', size=(848, 480)),
    Topic('/camera/depth/camera_info', INFO, 90),
    Topic('/camera/aligned_depth_to_color/image_raw', IMAGE, 30, '16UC1', size=(640, 480)),
    Topic('/camera/aligned_depth_to_color/camera_info', INFO, 30),
]
VINS = [
    Topic('/vins_estimator/odometry', ODOMETRY, 30),
    Topic('/vins_estimator/imu_propagate', ODOMETRY, 300),
    Topic('/vins_estimator/keyframe_pose', ODOMETRY, 10),
    Topic('/vins_estimator/extrinsic', ODOMETRY, 30),
    Topic('/feature_tracker/feature_img', IMAGE, 30, 'bgr8'),
]


def names(topics, **options):
    chosen = choose_topics(topics, RecordingOptions(**options))
    return {
        purpose: getattr(chosen, purpose) and getattr(chosen, purpose).name
        for purpose in ('image', 'depth', 'camera_info', 'odometry', 'ground_truth')
    }


def test_d455_with_vins():
    assert names([*D455, *VINS]) == {
        'image': '/camera/color/image_raw',
        'depth': '/camera/aligned_depth_to_color/image_raw',
        'camera_info': '/camera/color/camera_info',
        'odometry': '/vins_estimator/odometry',
        'ground_truth': None,
    }


def test_choices_are_noted():
    notes = choose_topics(D455, RecordingOptions()).notes
    assert any(note.startswith('image topic is /camera/color/image_raw, chosen') for note in notes)


def test_names_come_first():
    chosen = names(D455, image_topic='camera/infra1/image_rect_raw', depth_topic='none')
    assert chosen['image'] == '/camera/infra1/image_rect_raw'
    assert chosen['camera_info'] == '/camera/infra1/camera_info'
    assert chosen['depth'] is None


def test_compressed_only():
    topics = [
        Topic('/cam/rgb/image_raw/compressed', COMPRESSED, 5, 'rgb8; jpeg compressed bgr8'),
        Topic('/cam/depth/image/compressedDepth', COMPRESSED, 5, '16UC1; compressedDepth png'),
        Topic('/cam/rgb/camera_info', INFO, 5),
    ]
    chosen = names(topics)
    assert chosen['image'] == '/cam/rgb/image_raw/compressed'
    assert chosen['depth'] == '/cam/depth/image/compressedDepth'
    assert chosen['camera_info'] == '/cam/rgb/camera_info'


def test_painted_depth_is_not_the_image():
    topics = [
        Topic('/cam/depth/image_painted', IMAGE, 50, 'bgr8'),
        Topic('/cam/left/image', IMAGE, 5, 'mono8'),
        Topic('/cam/camera_info', INFO, 5),
    ]
    assert names(topics)['image'] == '/cam/left/image'


def test_infrared_is_no_depth():
    topics = [*D455[2:4], Topic('/kinect/ir/image', IMAGE, 50, '16UC1')]
    assert names(topics)['depth'] is None


@pytest.mark.parametrize(
    'name', ['/ground_truth', '/groundtruth/pose', '/robot/gt', '/gt_pose', '/vicon/a', '/mocap']
)
def test_ground_truth_by_name(name):
    chosen = names([*D455, Topic(name, POSE, 9), Topic('/slam/pose', POSE, 2)])
    assert (chosen['ground_truth'], chosen['odometry']) == (name, '/slam/pose')


def test_length_is_no_ground_truth():
    assert names([*D455, Topic('/length', POSE, 9)])['ground_truth'] is None


def test_odometry_before_poses():
    chosen = names([*D455, Topic('/a', POSE, 900), Topic('/b', ODOMETRY, 9)])
    assert chosen['odometry'] == '/b'


def test_several_camera_infos_of_others():
    topics = [D455[2], D455[5], D455[7]]
    with pytest.raises(RecordingError, match=r'no camera_info beside /camera/color/image_raw.*'):
        names(topics)
    assert names(topics, camera_info_topic='/camera/depth/camera_info')['camera_info']


def test_missing_image_lists_what_there_is():
    with pytest.raises(
        RecordingError, match=r'Image: none; sensor_msgs/msg/CompressedImage: none'
    ):
        names(VINS[:2])
