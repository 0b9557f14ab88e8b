"""What pip calls the packages that a node imports."""

from __future__ import annotations

_PIP_NAMES = {
    'cv2': 'opencv-python-headless',
    'gtsam': 'gtsam',
    'numpy': 'numpy',
    'rosbags': 'rosbags',
    'rosbags.image': 'rosbags-image',
    'safetensors': 'safetensors',
    'scipy': 'scipy',
    'small_gicp': 'small_gicp',
    'torch': 'torch',
    'torch_geometric': 'torch-geometric',
    'yaml': 'pyyaml',
}


def missing_package(err: ImportError) -> str | None:
    """Return in one line what pip has to install; None for an import error that is a bug."""
    name = err.name or ''
    package = name if name in _PIP_NAMES else name.partition('.')[0]
    if not isinstance(err, ModuleNotFoundError) or package not in _PIP_NAMES:
        return None
    return f'{package} is not installed: python3 -m pip install {_PIP_NAMES[package]}'
