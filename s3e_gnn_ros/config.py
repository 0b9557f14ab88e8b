"""One frozen configuration tree: the defaults, their ranges, and what each value means.

The node declares its ROS parameters from it; ``config_file`` reads and writes it as YAML, and
``config/default.yaml`` and ``docs/parameters.md`` are generated from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from s3e_gnn_ros.errors import ConfigError


def _value(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str | int, ...] = (),
    at_run_time: bool | None = None,
) -> Any:
    """Declare one leaf of the tree with what a ROS parameter descriptor needs.

    Args:
        default: whose type is that of the leaf.
        description: of one line, with the unit.
        minimum: least value.
        maximum: largest value.
        choices: all values there are.
        at_run_time: a node that is configured takes a change; None: as its section says.
    """
    metadata = {
        'description': description,
        'minimum': minimum,
        'maximum': maximum,
        'choices': choices,
        'at_run_time': at_run_time,
    }
    if isinstance(default, list):
        raise TypeError('use a tuple: the tree is frozen')
    return field(default=default, metadata=metadata)


class _Section:
    """A node of the tree: checks the type and range of its own leaves.

    ``at_run_time``: a node that is configured takes changes of them, where they say nothing else.
    """

    at_run_time: ClassVar[bool] = False

    def __init_subclass__(cls, *, at_run_time: bool = False) -> None:
        """Note what holds for all leaves of a section."""
        cls.at_run_time = at_run_time

    def __post_init__(self) -> None:
        """Refuse a value of the wrong type or outside its range."""
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            if item.metadata:
                _check_leaf(item, getattr(self, item.name))


@dataclass(frozen=True)
class KeyframeConfig(_Section, at_run_time=True):
    """When a frame becomes a keyframe: after either motion, but not too often."""

    min_translation_m: float = _value(
        0.1, 'distance from the last keyframe [m]', minimum=0.0, maximum=100.0
    )
    min_rotation_deg: float = _value(
        10.0, 'rotation from the last keyframe [deg]', minimum=0.0, maximum=180.0
    )
    min_interval_s: float = _value(
        0.25,
        'time between keyframes, however fast the camera moves [s]',
        minimum=0.0,
        maximum=3600.0,
    )


@dataclass(frozen=True)
class FeatureConfig(_Section):
    """ORB features, and the depth that lifts them to landmarks."""

    num_features: int = _value(
        1000, 'ORB features per keyframe', minimum=8, maximum=20000, at_run_time=True
    )
    num_levels: int = _value(8, 'levels of the ORB pyramid', minimum=1, maximum=16)
    scale_factor: float = _value(1.2, 'scale between levels', minimum=1.01, maximum=2.0)
    fast_threshold: int = _value(
        12, 'FAST threshold [grey levels]', minimum=1, maximum=255, at_run_time=True
    )
    min_depth_m: float = _value(
        0.3, 'depth below this is ignored [m]', minimum=0.0, at_run_time=True
    )
    max_depth_m: float = _value(
        6.0, 'depth above this is ignored [m]', minimum=0.1, at_run_time=True
    )


@dataclass(frozen=True)
class RetrievalConfig(_Section):
    """Which older keyframes a query is compared with."""

    method: str = _value(
        's3e',
        "'s3e': learned embedding and GNN; 'bow': bag of words",
        choices=('s3e', 'bow'),
    )
    weights: str = _value(
        '', 'weights of s3e: a name of the package or a file; empty: the default of the package'
    )
    use_gnn: bool = _value(True, 's3e: query the reference graph; else compare embeddings')
    vocabulary: str = _value('', 'vocabulary file of bow; empty: the one inside the package')
    max_candidates: int = _value(
        10,
        'candidates per query, most similar first; their features are matched with its own',
        minimum=1,
        maximum=100,
        at_run_time=True,
    )
    min_similarity: float = _value(
        0.01, 'candidates below this are not verified', minimum=0.0, maximum=1.0, at_run_time=True
    )
    min_nss_factor: float = _value(
        0.005,
        'similarity of the query to its predecessor below which scores mean nothing',
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
    )
    min_keyframe_gap: int = _value(
        8, 'the last keyframes of the same session that cannot match', minimum=1, at_run_time=True
    )
    min_time_gap_s: float = _value(
        2.0,
        'younger keyframes of the same session cannot match [s]',
        minimum=0.0,
        at_run_time=True,
    )
    consistency_window: int = _value(
        0,
        'keyframes around a candidate of which one must have been a candidate of the previous '
        'query; 0 switches the check off',
        minimum=0,
        at_run_time=True,
    )


@dataclass(frozen=True)
class VerificationConfig(_Section, at_run_time=True):
    """When two keyframes are believed to see the same place."""

    max_candidates: int = _value(
        5,
        'candidates to verify per query: those with the most feature matches',
        minimum=1,
        maximum=100,
    )
    max_closures: int = _value(
        5, 'closures per query; further candidates are not verified', minimum=1, maximum=100
    )
    match_ratio: float = _value(
        0.85, 'best over second-best descriptor distance', minimum=0.1, maximum=1.0
    )
    max_hamming: int = _value(64, 'descriptor distance of a match [bits]', minimum=1, maximum=256)
    use_patches: bool = _value(True, "match the encoder's local descriptors beside ORB")
    min_patch_similarity: float = _value(
        0.8, "least cosine of a match of the encoder's descriptors", minimum=-1.0, maximum=1.0
    )
    max_reprojection_error_px: float = _value(
        4.0, 'PnP inlier threshold [px]', minimum=0.1, maximum=100.0
    )
    ransac_iterations: int = _value(500, 'PnP-RANSAC iterations', minimum=10, maximum=100000)
    min_matches: int = _value(20, 'descriptor matches', minimum=4)
    min_inliers: int = _value(20, 'PnP inliers in each direction', minimum=4)
    min_inlier_ratio: float = _value(0.25, 'inliers over matches tried', minimum=0.0, maximum=1.0)
    min_inlier_area: float = _value(
        0.02, 'share of the image that the inliers span', minimum=0.0, maximum=1.0
    )
    max_disagreement_m: float = _value(
        0.25, 'forward against backward translation [m]', minimum=0.0
    )
    max_disagreement_deg: float = _value(
        8.0, 'forward against backward rotation [deg]', minimum=0.0
    )
    refine_with_depth: bool = _value(True, 'refine by aligning the two depth images')
    max_alignment_m: float = _value(
        0.1, 'points of two depth images further apart do not correspond [m]', minimum=0.001
    )
    min_pnp_sigma_m: float = _value(
        0.02,
        'trust in PnP beside aligned depth: error of the colour-to-depth calibration [m]',
        minimum=0.0,
    )
    min_pnp_sigma_deg: float = _value(
        1.0,
        'trust in PnP beside aligned depth: error of the colour-to-depth calibration [deg]',
        minimum=0.0,
    )
    min_depth_overlap: float = _value(
        0.05, 'share of the depth of each image that the other must see', minimum=0.0, maximum=1.0
    )
    min_depth_agreement: float = _value(
        0.7, 'share of overlapping depth that must agree', minimum=0.0, maximum=1.0
    )
    max_sigma_m: float = _value(
        0.1, 'largest standard deviation of the translation [m]', minimum=0
    )
    max_sigma_deg: float = _value(
        8.0, 'largest standard deviation of the rotation [deg]', minimum=0
    )
    min_sigma_m: float = _value(
        0.01,
        'added to the covariance: errors of calibration that all inliers share [m]',
        minimum=0.0,
    )
    min_sigma_deg: float = _value(
        0.1,
        'added to the covariance: errors of calibration that all inliers share [deg]',
        minimum=0.0,
    )
    covariance_inflation: float = _value(
        8.0,
        'factor on the covariance of the inliers, which are not independent, nor are the closures '
        'of one query',
        minimum=1.0,
    )


@dataclass(frozen=True)
class RelocalisationConfig(_Section, at_run_time=True):
    """When an image is believed to be located in the map."""

    max_candidates: int = _value(
        20, 'keyframes to verify, most similar first', minimum=1, maximum=1000
    )
    min_inliers: int = _value(
        40, 'features of the image that keyframes together must locate', minimum=4
    )
    min_inlier_area: float = _value(
        0.04, 'share of the image that these features span', minimum=0.0, maximum=1.0
    )
    max_dissent: float = _value(
        0.33,
        'features whose matches speak for another pose, relative to those for the best, from '
        'which on none is believed',
        minimum=0.0,
        maximum=1.0,
    )
    max_ambiguity: float = _value(
        0.8,
        'features that a pose elsewhere explains as well, relative to those of the best, from '
        'which on none is believed',
        minimum=0.0,
        maximum=1.0,
    )
    max_sigma_m: float = _value(
        0.1, 'largest standard deviation of the translation [m]', minimum=0.0
    )


@dataclass(frozen=True)
class PoseGraphConfig(_Section, at_run_time=True):
    """Noise of odometry, and how GTSAM solves."""

    odometry_sigma_m_per_m: float = _value(
        0.02, 'odometry translation noise per metre travelled [m/m]', minimum=1e-6
    )
    odometry_sigma_deg_per_m: float = _value(
        0.5, 'odometry rotation noise per metre travelled [deg/m]', minimum=1e-6
    )
    odometry_sigma_deg_per_deg: float = _value(
        0.02, 'odometry rotation noise per degree turned [deg/deg]', minimum=1e-6
    )
    odometry_min_sigma_m: float = _value(0.015, 'least odometry noise [m]', minimum=1e-6)
    odometry_min_sigma_deg: float = _value(0.7, 'least odometry noise [deg]', minimum=1e-6)
    degrees_of_freedom: int = _value(
        6,
        '6, or 4: yaw and position alone; roll and pitch stay those of an odometry that knows '
        'gravity (visual-inertial) and whose frame has z up',
        choices=(6, 4),
    )
    odometry_tilt_sigma_deg: float = _value(
        0.5,
        'with 4 degrees of freedom: how far roll and pitch of odometry may be off, which is no '
        'fault of a loop closure [deg]',
        minimum=0.0,
        maximum=10.0,
    )
    robust_kernel: str = _value(
        'huber',
        'kernel on loop closures',
        choices=('none', 'huber', 'cauchy', 'dcs', 'geman_mcclure'),
    )
    robust_threshold: float = _value(
        3.55,
        'where the kernel starts to flatten [sigmas]; 3.55 spares 95 % of good 6-DoF edges',
        minimum=0.01,
    )
    relinearize_threshold: float = _value(
        0.01, 'iSAM2 relinearises a variable that moved by more [rad, m]', minimum=0.0
    )
    extra_iterations: int = _value(
        5, 'additional iSAM2 iterations after a loop closure', minimum=0, maximum=100
    )
    pcm: bool = _value(
        True, 'closures that contradict are judged by their pairwise consistency (PCM)'
    )
    pcm_probability: float = _value(
        0.999,
        'share of good pairs of closures that PCM calls consistent',
        minimum=0.5,
        maximum=1.0,
    )
    gnc: bool = _value(
        True, 'closures that contradict are judged by graduated non-convexity (GNC)'
    )
    inlier_probability: float = _value(
        0.9999,
        'share of good closures that agree with the optimised graph; the others are taken out',
        minimum=0.5,
        maximum=1.0,
    )
    check_interval: int = _value(
        10, 'keyframes between two judgements of the closures', minimum=1, maximum=1000000
    )
    check_growth: float = _value(
        0.02,
        'the same as a share of the keyframes so far, where that is more',
        minimum=0.0,
        maximum=1.0,
    )
    scale_by_similarity: bool = _value(
        False, 'multiply the information of a closure by its similarity'
    )
    max_speed_m_per_s: float = _value(
        10.0,
        'odometry that moves more than a metre faster than this has begun anew: a new session '
        '[m/s]',
        minimum=0.1,
    )


@dataclass(frozen=True)
class MapConfig(_Section):
    """What is kept of the keyframes, where, and how many."""

    directory: str = _value(
        '', 'folder of the stored maps; empty: $ROS_HOME/s3e_gnn_ros/maps, else ~/.ros/...'
    )
    name: str = _value('', 'map to write as the robot drives; empty: nothing is stored')
    load: str = _value('', 'stored map to begin with; empty: none')
    base_map: str = _value(
        'free',
        "whether loops may move a loaded map ('free') or hold on to it ('fixed')",
        choices=('free', 'fixed'),
    )
    cached_views: int = _value(
        2000,
        'keyframes of a stored map held in memory for verification, about 170 kB each',
        minimum=1,
    )
    max_keyframes: int = _value(
        0, 'keyframes beyond this are pruned where they lie most densely; 0: no limit', minimum=0
    )
    thumbnail_width_px: int = _value(
        320, 'width of the picture stored of a keyframe [px]', minimum=64, maximum=4096
    )


@dataclass(frozen=True)
class NodeConfig(_Section):
    """Queues, frames and synchronisation of the ROS nodes."""

    autostart: bool = _value(
        True, 'configure and activate at once; false: wait for a lifecycle manager'
    )
    queue_size: int = _value(100, 'keyframes waiting for the worker', minimum=1, maximum=100000)
    sync_queue_size: int = _value(
        60, 'messages per topic waiting for their partners', minimum=2, maximum=100000
    )
    sync_slop_s: float = _value(
        0.02,
        'stamps of one frame may differ by this [s]',
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
    )
    solver_process: bool = _value(
        True,
        'solve the pose graph in a process of its own, and judge closures in another, so that '
        'corrected odometry never waits for either',
    )
    max_odometry_gap_s: float = _value(
        0.5, 'odometry is not interpolated over a larger gap [s]', minimum=0.0
    )
    use_depth: bool = _value(True, 'subscribe to aligned depth')
    image_transport: str = _value('raw', 'type of the image topics', choices=('raw', 'compressed'))
    max_image_pixels: int = _value(
        2**26,
        'larger images are dropped before memory is taken for them, also compressed ones [px]',
        minimum=1,
        maximum=2**30,
    )
    reliable_inputs: bool = _value(
        False, 'ask for reliable delivery of images (sensor QoS otherwise)'
    )
    host: str = _value(
        'odometry',
        "the system beside: 'odometry' is any pose stream; 'vins': VINS-Mono, VINS-RGBD, "
        "VINS-Fusion and their ports, whose keyframes are taken; 'openvins': its loop_* topics; "
        "'orb_slam3': a pose stream and, where they are published, its keypoints",
        choices=('odometry', 'vins', 'openvins', 'orb_slam3'),
    )
    pose_type: str = _value(
        'odometry',
        "type of the odometry topic: nav_msgs/Odometry, PoseStamped ('pose') or "
        "PoseWithCovarianceStamped; 'tf': no topic, base_frame in odom_frame by /tf",
        choices=('odometry', 'pose', 'pose_with_covariance', 'tf'),
    )
    base_frame: str = _value(
        'base_link', 'frame whose pose the stream gives, where its type does not say it'
    )
    body_frame_pose: bool = _value(
        False,
        'hosts odometry and orb_slam3: the poses are of the body; T_body_camera, the extrinsic '
        'topic or TF tells where the camera sits in it',
    )
    T_body_camera: tuple[float, ...] = _value(
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), 'camera in the body: x y z [m] qx qy qz qw'
    )
    map_frame: str = _value('map', 'frame of the corrected poses')
    odom_frame: str = _value(
        '', "frame of the odometry; empty: as the messages say, with pose_type tf 'odom'"
    )
    robot_id: str = _value('', 'name of the robot, where a map has several')
    publish_images: bool = _value(
        True, 'put image and depth into the published keyframes', at_run_time=True
    )
    publish_tf: bool = _value(
        True, 'publish map -> odom; false where another node of the robot does (REP 105)'
    )
    correction: str = _value(
        'instant',
        "how map -> odom and the corrected poses follow the pose graph: 'instant', or 'smooth' by "
        'correction_time_s',
        choices=('instant', 'smooth'),
        at_run_time=True,
    )
    correction_time_s: float = _value(
        1.0,
        'smooth: 63 % of a correction is applied within this time of odometry, 95 % within three '
        'times as long [s]',
        minimum=0.01,
        at_run_time=True,
    )
    feedback: bool = _value(
        False, 'publish match_points for the estimator of VINS-Mono, and take relo_relative_pose'
    )
    feedback_max_yaw_deg: float = _value(
        30.0,
        'loops with more yaw between their keyframes are not fed back [deg]',
        minimum=0.0,
        at_run_time=True,
    )
    feedback_max_distance_m: float = _value(
        20.0,
        'loops between keyframes further apart are not fed back [m]',
        minimum=0.0,
        at_run_time=True,
    )
    feedback_min_points: int = _value(
        8,
        "matched points with a track number of the front end's that a feedback needs",
        minimum=4,
        at_run_time=True,
    )
    tracking_timeout_s: float = _value(
        1.0,
        'images this much newer than all odometry are relocalised in the map; 0: never [s]',
        minimum=0.0,
        at_run_time=True,
    )
    relocalisation_period_s: float = _value(
        1.0,
        'between two images that are relocalised while tracking is lost [s]',
        minimum=0.0,
        at_run_time=True,
    )


@dataclass(frozen=True)
class Config(_Section):
    """Everything that can be set."""

    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    retrieval: RetrievalConfig = field(default_factory=RetrievalConfig)
    verification: VerificationConfig = field(default_factory=VerificationConfig)
    relocalisation: RelocalisationConfig = field(default_factory=RelocalisationConfig)
    pose_graph: PoseGraphConfig = field(default_factory=PoseGraphConfig)
    map: MapConfig = field(default_factory=MapConfig)
    node: NodeConfig = field(default_factory=NodeConfig)


@dataclass(frozen=True)
class Leaf:
    """One value of the tree, as a ROS parameter sees it."""

    name: str
    default: Any
    description: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str | int, ...]
    at_run_time: bool


def leaves(config: Config | None = None) -> Iterator[Leaf]:
    """Walk the tree: yields every value under its dotted ROS parameter name."""
    config = Config() if config is None else config
    for section in dataclasses.fields(config):
        node = getattr(config, section.name)
        for item in dataclasses.fields(node):
            meta = item.metadata
            yield Leaf(
                f'{section.name}.{item.name}',
                getattr(node, item.name),
                meta['description'],
                meta['minimum'],
                meta['maximum'],
                meta['choices'],
                node.at_run_time if meta['at_run_time'] is None else meta['at_run_time'],
            )


def config_from_dict(values: Mapping[str, Any], base: Config | None = None) -> Config:
    """Overlay nested values on a configuration.

    Args:
        values: ``{section: {name: value}}``.
        base: what is kept where ``values`` is silent; the defaults when None.

    Raises:
        ConfigError: an unknown section or name, a wrong type or a value out of range.
    """
    config = Config() if base is None else base
    sections = {item.name for item in dataclasses.fields(config)}
    changed = {}
    for name, content in values.items():
        if name not in sections:
            raise ConfigError(f"unknown section '{name}'; known: {', '.join(sorted(sections))}")
        if not isinstance(content, Mapping):
            raise ConfigError(f"section '{name}' holds {content!r} instead of names and values")
        changed[name] = _replace_section(name, getattr(config, name), content)
    return dataclasses.replace(config, **changed)


def config_from_dotted(values: Mapping[str, Any], base: Config | None = None) -> Config:
    """Overlay ``{'section.name': value}`` on a configuration; see :func:`config_from_dict`."""
    nested: dict[str, dict[str, Any]] = {}
    for dotted, value in values.items():
        section, _, name = dotted.partition('.')
        nested.setdefault(section, {})[name] = value
    return config_from_dict(nested, base)


def _replace_section(section: str, node: Any, content: Mapping[str, Any]) -> Any:
    known = {item.name: item for item in dataclasses.fields(node)}
    values = {}
    for name, value in content.items():
        if name not in known:
            raise ConfigError(
                f"unknown name '{section}.{name}'; known: {', '.join(sorted(known))}"
            )
        values[name] = _coerce(getattr(node, name), value)
    try:
        return dataclasses.replace(node, **values)
    except ConfigError as err:
        raise ConfigError(f'{section}.{err}') from err


def _coerce(default: Any, value: Any) -> Any:
    """YAML and ROS write a whole float as an int, and a tuple as a list."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and not isinstance(value, (str, bytes)):
        try:
            return tuple(float(item) for item in value)
        except (TypeError, ValueError):
            return value
    return value


def _check_leaf(item: dataclasses.Field[Any], value: Any) -> None:
    default: Any = item.default
    expected = type(default)
    if type(value) is not expected:
        raise ConfigError(
            f'{item.name} is {value!r} instead of a value of type {expected.__name__}'
        )
    meta = item.metadata
    if meta['choices'] and value not in meta['choices']:
        raise ConfigError(
            f'{item.name} is {value!r} instead of one of {", ".join(map(str, meta["choices"]))}'
        )
    if expected is tuple and len(value) != len(default):
        raise ConfigError(f'{item.name} has {len(value)} values instead of {len(default)}')
    numbers = value if expected is tuple else (value,)
    for number in numbers:
        if isinstance(number, float) and number != number:
            raise ConfigError(f'{item.name} is NaN')
        if meta['minimum'] is not None and number < meta['minimum']:
            raise ConfigError(f'{item.name} is {number} instead of at least {meta["minimum"]}')
        if meta['maximum'] is not None and number > meta['maximum']:
            raise ConfigError(f'{item.name} is {number} instead of at most {meta["maximum"]}')
