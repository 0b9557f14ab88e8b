"""``s3e-gnn vocabulary`` on images drawn here."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.cli.vocabulary import find_images, spread
from s3e_gnn_ros.retrieval.vocabulary_file import load_vocabulary


def draw(path, seed):
    """Random rectangles: corners for ORB."""
    rng = np.random.default_rng(seed)
    image = np.zeros((240, 320, 3), dtype=np.uint8)
    for _ in range(60):
        x, y, w, h = rng.integers(0, (320, 240, 60, 60)).tolist()
        cv2.rectangle(image, (x, y), (x + w, y + h), rng.integers(0, 256, 3).tolist(), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture(name='photos')
def _photos(tmp_path):
    folder = tmp_path / 'photos'
    for number in range(4):
        draw(folder / f'{number}.png', number)
    draw(folder / 'deeper' / '4.JPG', 4)
    (folder / 'notes.txt').write_text('no image')
    return folder


def train(*arguments):
    return main(['vocabulary', *map(str, arguments)])


def test_trains_from_a_folder(photos, tmp_path, capsys):
    (photos / 'broken.png').write_bytes(b'not a picture')
    cv2.imwrite(str(photos / 'depth.png'), np.full((240, 320), 1500, dtype=np.uint16))
    cv2.imwrite(str(photos / 'tiny.png'), np.zeros((2, 300), dtype=np.uint8))
    out = tmp_path / 'words.npz'
    options = ('--branching', 4, '--depth', 3, '--features', 100)
    assert train(photos, '--out', out, *options, '--json') == 0
    result = json.loads(capsys.readouterr().out)
    vocabulary = load_vocabulary(out)
    assert (result['num_images'], result['num_unusable']) == (5, 3)
    assert 100 < result['num_descriptors'] <= 500 + 5
    assert result['num_words'] == vocabulary.num_words > 16
    assert result['branching'] == 4
    assert result['depth'] == 3
    assert result['num_bytes'] == out.stat().st_size


def test_equal_seed_equal_file(photos, tmp_path, capsys):
    files = [tmp_path / name for name in ('a.npz', 'b.npz', 'c.npz')]
    for out, seed in zip(files, (1, 1, 2), strict=True):
        assert train(photos, '--out', out, '--branching', 5, '--depth', 2, '--seed', seed) == 0
    a, b, c = (out.read_bytes() for out in files)
    assert a == b != c
    assert 'words from' in capsys.readouterr().out


def test_max_images_spreads_over_the_list(photos, tmp_path, capsys):
    out = tmp_path / 'words.npz'
    assert (
        train(photos, '--out', out, '--branching', 5, '--depth', 2, '--max-images', 2, '--json')
        == 0
    )
    assert json.loads(capsys.readouterr().out)['num_images'] == 2
    assert spread([Path(c) for c in 'abcdef'], 3) == [Path('a'), Path('c'), Path('e')]
    assert spread([Path('a')], 3) == [Path('a')]


def test_images_in_fixed_order_each_once(photos):
    files = find_images([photos / '3.png', photos, photos / '3.png'])
    assert [f.name for f in files] == ['3.png', '0.png', '1.png', '2.png', '4.JPG']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none', '--out', 'w.npz'], "no image or folder 'none'"),
        (['empty', '--out', 'w.npz'], "no images in 'empty'"),
        (['empty', 'empty', '--out', 'w.npz'], "no images in 'empty' and the others"),
        (['photos/notes.txt', '--out', 'w.npz'], 'none of 1 files is a usable 8-bit image'),
        (['blank.png', '--out', 'w.npz'], '1 images give 0 descriptors, too few'),
        (['photos', '--out', 'w.bin'], "--out is 'w.bin'"),
        (['photos', '--out', 'photos/0.png/w.npz'], 'cannot write vocabulary'),
        (
            ['photos', '--out', 'folder.npz'],
            "cannot write vocabulary 'folder.npz': Is a directory",
        ),
        (['photos', '--out', 'w.npz', '--branching', '1'], '--branching is 1 instead of'),
        (['photos', '--out', 'w.npz', '--depth', '0'], '--depth is 0 instead of'),
        (['photos', '--out', 'w.npz', '--max-images', '0'], '--max-images is 0 instead of'),
        (['photos', '--out', 'w.npz', '--features', '2'], 'num_features is 2 instead of'),
    ],
)
def test_bad_input_is_one_line(photos, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'folder.npz').mkdir()
    cv2.imwrite('blank.png', np.zeros((240, 320), dtype=np.uint8))
    assert photos.is_dir()
    assert train(*arguments) == 2
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert message in last
    assert last.startswith('s3e-gnn vocabulary: ')
    assert not Path('w.npz').exists()
