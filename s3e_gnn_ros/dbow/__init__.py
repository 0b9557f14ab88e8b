"""DBoW2 and DLoopDetector in Python, with S3E or bag of words behind: ``docs/dbow.md``."""

from s3e_gnn_ros.dbow.database import Database
from s3e_gnn_ros.dbow.detector import DetectionResult, LoopDetector
from s3e_gnn_ros.dbow.features import ImageFeatures
from s3e_gnn_ros.dbow.parameters import GeometricalCheck, Parameters
from s3e_gnn_ros.dbow.results import IdRule, QueryResults, Result
from s3e_gnn_ros.types import Status

__all__ = [
    'Database',
    'DetectionResult',
    'GeometricalCheck',
    'IdRule',
    'ImageFeatures',
    'LoopDetector',
    'Parameters',
    'QueryResults',
    'Result',
    'Status',
]
