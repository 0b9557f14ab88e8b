import os
import shutil
import tempfile
from pathlib import Path

import pytest

from s3e_gnn_ros.map_store.store import MapStore


@pytest.fixture
def store(tmp_path):
    """An empty map that is open for writing."""
    with MapStore.create(tmp_path / 'a.s3emap', weights_digest='d1', weights_name='w1') as made:
        yield made


@pytest.fixture
def unprivileged():
    """A folder, while the process is not root: root may write what is read-only."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    if os.geteuid() != 0:
        yield folder
    else:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)
