"""Loop closure and relocalisation for robots in ROS 2."""

from pkgutil import extend_path

# The compiled messages (s3e_gnn_ros.msg, s3e_gnn_ros.srv) live in the colcon install space;
# this lets them be found next to the Python sources of a checkout or of a pip install.
__path__ = extend_path(__path__, __name__)
__version__ = '0.1.0'
