"""``s3e-gnn evaluate`` on a tiny drive, on labelled images, and on what it must refuse."""

import json
from dataclasses import asdict

import cv2
import numpy as np
import pytest
import torch
from synthetic import CAMERA, out_and_back, write_seven_scenes

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.weights import save_weights
from s3e_gnn_ros.evaluation import retrieval_write
from s3e_gnn_ros.evaluation.retrieval_labels import HEAD
from s3e_gnn_ros.evaluation.retrieval_scores import METRICS
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import GNNConfig


@pytest.fixture(scope='module')
def drive(tmp_path_factory):
    """Return a drive out and back, past a textured corner."""
    poses = out_and_back(16)
    return write_seven_scenes(tmp_path_factory.mktemp('drive') / 'corner', poses)


@pytest.fixture(scope='module')
def noise(tmp_path_factory):
    folder = tmp_path_factory.mktemp('noise')
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.integers(0, 255, (CAMERA.height // 8, CAMERA.width // 8), np.uint8)
        cv2.imwrite(str(folder / f'{number}.png'), cv2.resize(image, None, fx=8, fy=8))
    return folder


def write_weights(path, seed=0, **architecture):
    """Write weights of networks that have learned nothing."""
    torch.manual_seed(seed)
    small = {'num_patches': 32, 'width': 8, 'num_centres': 8, 'embedding_dim': 32, **architecture}
    encoder = EncoderConfig(**small)
    gnn = GNNConfig(embedding_dim=32, edge_dim=4)
    names = ('similarities', 'probabilities', 'overlaps')
    parts = {
        'encoder': build_encoder(encoder).state_dict(),
        'gnn': build_gnn(gnn).state_dict(),
        'calibration': {
            f'{of}.{name}': torch.linspace(0, 1, 5) for of in ('encoder', 'gnn') for name in names
        },
    }
    description = {'encoder': asdict(encoder), 'gnn': gnn.to_dict(), 'calibration': {}}
    save_weights(path, parts, description)
    return path


def run(capsys, *arguments, methods='bow'):
    status = main(['evaluate', *map(str, arguments), '--retrieval', methods, '--json'])
    captured = capsys.readouterr()
    return status, captured


def test_a_drive_with_poses(drive, noise, tmp_path, capsys):
    status, captured = run(
        capsys, drive, '--out', tmp_path, '--distractors', noise, '--min-gap', 5,
        '--variants', 'plain,blur+dis', '--seeds', 1, '--bootstrap', 20, '--relocalise-every', 4,
    )  # fmt: skip
    assert status == 0, captured.err
    (result,) = json.loads(captured.out)['recordings']
    assert json.loads((tmp_path / 'metrics.json').read_text()) == result
    plain, blurred = result['retrieval']
    assert (plain['variant'], plain['method']) == ('plain', 'bow')
    assert plain['retrieval']['recall_at_1']['value'] > 0.9
    assert set(blurred['verified']) == set(METRICS)
    located = result['relocalisation']['bow']
    assert located['num_located'] > 0
    assert located['median_translation_m'] < 0.1
    assert located['num_wrong'] == 0
    assert 0 < located['fine_rate'] <= located['coarse_rate'] <= 1
    assert result['timing_ms']['bow']['embedding'] > 0
    assert result['similarity_error']['bow']['num_pairs'] > 0
    tables = (tmp_path / 'tables.md').read_text()
    assert '| plain | bow |' in tables
    assert '| blur+dis | bow |' in tables
    assert 'within 0.25 m and 5 deg' in tables
    for name in ('precision_recall_plain', 'precision_recall_blur+dis', 'overlap_bow'):
        assert (tmp_path / f'{name}.png').stat().st_size > 1000


def test_every_question_gets_its_table(drive, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(retrieval_write, '_write_figures', lambda *_: None)  # they take long
    a, b, vit = (tmp_path / f'{name}.safetensors' for name in ('a', 'b', 'vit'))
    write_weights(a)
    write_weights(b, seed=1)
    write_weights(vit, backbone='vit', form='paper', patch_size_px=16)
    methods = f's3e@{a},s3e@{b},s3e-encoder@{a},s3e@{vit},bow'
    status, captured = run(
        capsys, drive, '--out', tmp_path / 'out', '--min-gap', 5, '--bootstrap', 5,
        '--relocalise-every', 16, methods=methods,
    )  # fmt: skip
    assert status == 0, captured.err
    (result,) = json.loads(captured.out)['recordings']
    assert set(result['relocalisation']) == set(methods.split(','))
    questions = result['questions']
    assert [q['method'] for q in questions['s3e_against_bow']][::2] == methods.split(',')[:4]
    (plain, verified) = questions['with_and_without_gnn']
    assert (plain['method'], plain['against']) == (f's3e@{a}', f's3e-encoder@{a}')
    assert (plain['stage'], verified['stage']) == ('retrieval', 'verified')
    assert len(questions['architectures']) == 8
    (spread, _) = questions['over_weights']
    assert spread['num_weights'] == 2
    values = [row['retrieval']['average_precision']['value'] for row in result['retrieval'][:2]]
    assert spread['mean']['average_precision'] == pytest.approx(np.mean(values))
    assert spread['deviation']['average_precision'] == pytest.approx(np.std(values, ddof=1))
    yaw = next(row for row in result['recall_at_full_precision_by_yaw']['plain'])
    assert set(yaw['recall']) == set(yaw['recall_verified']) == set(methods.split(','))
    assert result['similarity_error'][f's3e@{a}']['maximum'] <= 1.0
    tables = (tmp_path / 'out' / 'tables.md').read_text()
    for title in (
        'S3E against bag of words', 'With and without GNN', 'SparseConv against ViT, patch sizes',
        'plain, after verification', 'mean and spread over 2 weights', '| s3e-encoder@',
    ):  # fmt: skip
        assert title in tables
    assert len(list((tmp_path / 'out').glob('similarity_s3e@*.npz'))) == 3


def test_matrices_can_be_checked_by_others(drive, noise, tmp_path, capsys):
    run(
        capsys, drive, '--out', tmp_path, '--distractors', noise, '--min-gap', 5,
        '--variants', 'plain,dis', '--bootstrap', 0, '--no-verification',
    )  # fmt: skip
    plain, dis = (np.load(tmp_path / f'similarity_{n}.npz') for n in ('bow', 'bow_dis'))
    num = len(plain['query_stamp_ns'])
    assert plain['similarity'].shape == plain['relevance'].shape == (num, num)
    assert dis['similarity'].shape == (num, num + 3)
    assert plain['similarity'].dtype == np.float32
    assert (dis['database_stamp_ns'][-3:] == -1).all()
    assert np.array_equal(plain['database_stamp_ns'], plain['query_stamp_ns'])
    assert np.allclose(plain['similarity'], plain['similarity'].T, atol=1e-5)
    # Bag of words compares each pair by itself: distractors change nothing of the others.
    assert np.array_equal(plain['similarity'], dis['similarity'][:, :num])
    assert dis['database_name'].shape == dis['database_stamp_ns'].shape == (num + 3,)


@pytest.fixture
def labelled(drive, noise, tmp_path):
    """Grey images of the drive in a folder of their own, and their labels."""
    folder = tmp_path / 'laps'
    folder.mkdir()
    lines = [','.join(HEAD)]
    colour = sorted(drive.glob('*.color.png'))
    for number, source in enumerate([*colour[::4], *noise.glob('*.png'), *colour[::4]]):
        (folder / f'{number}.png').write_bytes(source.read_bytes())
        place = f'a,{number % 7},,' if source in colour else f'noise{number},,,'
        lines.append(f'laps/{number}.png,{place}')
    labels = tmp_path / 'labels.csv'
    labels.write_text('\n'.join(lines) + '\n')
    return folder, labels


def test_labelled_images(labelled, tmp_path, capsys):
    folder, labels = labelled
    status, captured = run(
        capsys, folder, '--labels', labels, '--out', tmp_path / 'out', '--min-gap', 4,
        '--positive-within', 0, '--bootstrap', 10,
    )  # fmt: skip
    assert status == 0, captured.err
    (result,) = json.loads(captured.out)['recordings']
    (row,) = result['retrieval']
    assert row['num_queries_with_positive'] == 4
    assert row['verified']['average_precision']['value'] == 1.0
    assert result['similarity_error'] == {}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--variants', 'fog'], "unknown variant 'fog'"),
        (['--variants', 'dis'], 'needs folders of distractors'),
        (['--bootstrap', '-1'], 'num_bootstrap is -1'),
        (['--database', '.'], 'needs a label file'),
        (['--labels', 'nowhere.csv'], "cannot read labels 'nowhere.csv'"),
        (['--min-gap', '99'], 'nothing to retrieve'),
    ],
)
def test_wrong_options_are_one_sentence(drive, tmp_path, capsys, arguments, message):
    status, captured = run(capsys, drive, '--out', tmp_path / 'out', *arguments)
    assert status == 2
    assert message in captured.err.splitlines()[-1]


@pytest.mark.parametrize(
    ('methods', 'message'),
    [
        ('magic', "unknown retrieval method 'magic'; known: s3e, s3e-encoder, bow"),
        ('bow@x', "retrieval method 'bow@x' names no weights, or takes none"),
        ('s3e@', "retrieval method 's3e@' names no weights, or takes none"),
        ('bow,s3e@nowhere', "no weights 'nowhere': neither a file nor one of the package"),
    ],
)
def test_unknown_methods_are_one_sentence(drive, tmp_path, capsys, methods, message):
    status, captured = run(capsys, drive, '--out', tmp_path / 'out', methods=methods)
    assert status == 2
    assert message in captured.err.splitlines()[-1]


def test_folders_that_cannot_be_used(labelled, tmp_path, capsys):
    folder, labels = labelled
    (tmp_path / 'empty').mkdir()
    for arguments, message in (
        ([folder], 'name a label file with --labels'),
        ([tmp_path / 'empty', '--labels', labels], 'no images in'),
        ([tmp_path / 'missing', '--labels', labels], 'no folder of images'),
        ([folder, '--labels', labels, '--variants', 'rot20'], 'needs poses'),
        ([folder, '--labels', labels, '--relocalise-every', 2], 'needs poses'),
        ([tmp_path / 'missing'], 'no recording'),
    ):
        status, captured = run(capsys, *arguments, '--out', tmp_path / 'out')
        assert status == 2
        assert message in captured.err.splitlines()[-1]


def test_two_recordings_of_one_name_are_refused(labelled, tmp_path, capsys):
    folder, labels = labelled
    other = tmp_path / 'again' / folder.name
    other.mkdir(parents=True)
    status, captured = run(capsys, folder, other, '--labels', labels, '--out', tmp_path / 'out')
    assert status == 2
    said = captured.err.splitlines()[-1]
    assert f"recordings '{folder}' and '{other}' have one name" in said
    assert not (tmp_path / 'out').exists()  # said before any work


def test_two_recordings_of_different_names_get_a_folder_each(labelled, tmp_path, capsys):
    folder, labels = labelled
    other = tmp_path / 'others'
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    lines = labels.read_text().splitlines()
    renamed = [line.replace('laps/', 'others/') for line in lines[1:]]
    labels.write_text('\n'.join([*lines, *renamed]))
    status, captured = run(
        capsys, folder, other, '--labels', labels, '--out', tmp_path / 'out', '--min-gap', 4,
        '--bootstrap', 0, '--no-verification',
    )  # fmt: skip
    assert status == 0, captured.err
    for name in ('laps', 'others'):
        values = json.loads((tmp_path / 'out' / name / 'metrics.json').read_text())
        assert values['recording'] == name


def test_an_image_without_a_label_is_named(labelled, tmp_path, capsys):
    folder, labels = labelled
    labels.write_text('\n'.join(labels.read_text().splitlines()[:-1]))
    status, captured = run(capsys, folder, '--labels', labels, '--out', tmp_path / 'out')
    assert status == 2
    assert "no label for 'laps/10.png'" in captured.err
