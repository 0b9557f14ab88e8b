import pytest

from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.errors import RecordingError


def test_nothing_there(tmp_path):
    with pytest.raises(RecordingError, match='no recording'):
        open_recording(tmp_path / 'nowhere')


def test_empty_folder(tmp_path):
    with pytest.raises(RecordingError, match=r'neither metadata\.yaml'):
        open_recording(tmp_path)


def test_file_of_another_kind(tmp_path):
    (tmp_path / 'movie.mp4').write_bytes(b'x')
    with pytest.raises(RecordingError, match='is no folder'):
        open_recording(tmp_path / 'movie.mp4')


@pytest.mark.parametrize('name', ['depth.txt', 'groundtruth.txt'])
def test_half_a_tum_folder(tmp_path, name):
    (tmp_path / name).write_text('')
    with pytest.raises(RecordingError, match=r'lacks rgb\.txt'):
        open_recording(tmp_path)


def test_half_a_euroc_folder(tmp_path):
    (tmp_path / 'mav0').mkdir()
    with pytest.raises(RecordingError, match=r'lacks cam0/data\.csv'):
        open_recording(tmp_path)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_bag_without_metadata(tmp_path, frames, synthetic, storage):
    path = synthetic.write_frames(tmp_path / 'bag', frames, storage=storage)
    (path / 'metadata.yaml').unlink()
    with pytest.raises(RecordingError, match=r'lacks its metadata\.yaml.*bag\.(mcap|db3)'):
        open_recording(path)
    (file,) = path.iterdir()
    assert len(list(open_recording(file).frames())) == len(frames)


@pytest.mark.parametrize('name', ['bag.mcap', 'bag.db3'])
def test_file_that_is_no_bag(tmp_path, name):
    (tmp_path / name).write_bytes(b'no bag at all, but of some length ' * 10)
    with pytest.raises(RecordingError, match='cannot read bag'):
        open_recording(tmp_path / name)
