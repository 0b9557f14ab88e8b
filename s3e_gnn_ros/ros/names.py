"""Names of the nodes, and of the topics and services between them; all relative."""

LOOP_CLOSURE_NODE = 'loop_closure_node'
POSE_GRAPH_NODE = 'pose_graph_node'

KEYFRAME = 'loop_closure/keyframe'
CLOSURE = 'loop_closure/closure'
QUERY = 'loop_closure/query'
GET_KEYFRAMES = 'loop_closure/get_keyframes'
LOOP_STATISTICS = 'loop_closure/get_statistics'

PATH = 'pose_graph/path'
CORRECTED_ODOMETRY = 'pose_graph/corrected_odometry'
MARKERS = 'pose_graph/markers'
MAP_TO_ODOM = 'pose_graph/map_to_odom'
GET_POSE_GRAPH = 'pose_graph/get_pose_graph'
POSE_GRAPH_STATISTICS = 'pose_graph/get_statistics'
