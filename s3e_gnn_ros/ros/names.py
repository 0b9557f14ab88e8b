"""Names of the nodes, and of the topics and services between them; relative but for one."""

LOOP_CLOSURE_NODE = 'loop_closure_node'
POSE_GRAPH_NODE = 'pose_graph_node'
DATABASE_NODE = 'database_node'

KEYFRAME = 'loop_closure/keyframe'
CLOSURE = 'loop_closure/closure'
QUERY = 'loop_closure/query'
GET_KEYFRAMES = 'loop_closure/get_keyframes'
LOOP_STATISTICS = 'loop_closure/get_statistics'
REMOVED = 'loop_closure/removed'
BASE_MAP = 'loop_closure/base_map'
EXTERNAL_KEYFRAME = 'loop_closure/external_keyframe'
REMOVE_KEYFRAMES = 'loop_closure/remove_keyframes'
EXPLAIN = 'loop_closure/explain'
RELOCALIZE = 'loop_closure/relocalize'
RELOCALISED_POSE = 'loop_closure/relocalised_pose'

SAVE_MAP = 'map/save'
LOAD_MAP = 'map/load'
MERGE_MAPS = 'map/merge'
LIST_MAPS = 'map/list'
DELETE_MAP = 'map/delete'
EXPORT_MAP = 'map/export'
IMPORT_MAP = 'map/import'

PATH = 'pose_graph/path'
CORRECTED_ODOMETRY = 'pose_graph/corrected_odometry'
ODOMETRY_RECT = 'pose_graph/odometry_rect'
CORRECTED_POSE = 'pose_graph/corrected_pose'
MARKERS = 'pose_graph/markers'
MAP_TO_ODOM = 'pose_graph/map_to_odom'
KEYFRAME_POSES = 'pose_graph/keyframe_poses'
EDIT_CLOSURE = 'pose_graph/edit_closure'
GET_POSE_GRAPH = 'pose_graph/get_pose_graph'
POSE_GRAPH_STATISTICS = 'pose_graph/get_statistics'

MATCH_POINTS = 'match_points'
RELO_RELATIVE_POSE = 'relo_relative_pose'

QUERY_DATABASE = 'database/query'
DETECT_LOOP = 'database/detect_loop'
DATABASE_STATISTICS = 'database/get_statistics'

DIAGNOSTICS = '/diagnostics'
"""Not relative: where aggregators listen."""
