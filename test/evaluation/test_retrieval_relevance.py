"""Which pairs are right, wrong, or neither: by overlap, by order, by label."""

from pathlib import Path

import numpy as np
import pytest

from s3e_gnn_ros.data.overlap_views import DepthView
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.retrieval_labels import (
    HEAD,
    Label,
    Nearness,
    label_relevance,
    read_labels,
)
from s3e_gnn_ros.evaluation.retrieval_relevance import (
    JUNK,
    NEGATIVE,
    POSITIVE,
    add_distractors,
    bar_recent,
    bar_where,
    overlap_relevance,
    rotations_deg,
    view_angles_deg,
)
from s3e_gnn_ros.evaluation.retrieval_truth import protocol_overlap, similarity_error
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera

LABELS = Path(__file__).resolve().parents[2] / 'docs' / 'labels'


def test_both_directions_decide():
    overlap = np.array([[1.0, 0.5, 0.04], [0.4, 1.0, 0.3], [0.04, 0.04, 1.0]])
    relevance = overlap_relevance(overlap)
    assert relevance[0, 1] == relevance[1, 0] == POSITIVE
    assert relevance[0, 2] == NEGATIVE
    assert relevance[1, 2] == JUNK  # one direction says 0.3
    assert overlap_relevance(overlap, 0.41)[0, 1] == JUNK


def test_recent_keyframes_cannot_match():
    relevance = bar_recent(np.full((4, 4), POSITIVE, np.int8), min_gap=2)
    assert (relevance == POSITIVE).tolist() == [
        [False] * 4,
        [False] * 4,
        [True, False, False, False],
        [True, True, False, False],
    ]


def test_distractors_are_wrong_for_those_who_ask():
    relevance = add_distractors(np.array([[JUNK, JUNK], [POSITIVE, JUNK]], np.int8), 2)
    assert relevance.tolist() == [[JUNK] * 4, [POSITIVE, JUNK, NEGATIVE, NEGATIVE]]


def test_rotated_pairs_alone_are_left():
    poses = np.array([se3.expmap([0, np.radians(deg), 0, 0, 0, 0]) for deg in (0, 15, 50)])
    rotation = rotations_deg(poses)
    assert rotation[0] == pytest.approx([0, 15, 50], abs=1e-5)
    left = bar_where(np.full((3, 3), POSITIVE, np.int8), rotation < 20)
    assert (left == POSITIVE).tolist() == [[False, False, True]] * 2 + [[True, True, False]]


def test_a_roll_is_no_change_of_heading():
    poses = np.array([np.eye(4), se3.expmap([0, 0, 1.0, 0, 0, 0])])
    assert view_angles_deg(poses)[0, 1] == pytest.approx(0, abs=1e-5)


def test_overlap_of_a_wall_seen_from_half_an_image_aside():
    camera = PinholeCamera(80, 60, 80.0, 80.0, 39.5, 29.5)
    wall = np.full((60, 80), 2.0, np.float32)
    aside = se3.make_pose(translation=[1.0, 0, 0])  # 40 px at 2 m
    behind = se3.make_pose(translation=[0, 0, -0.06])  # off by more than 5 cm
    views = [
        DepthView(wall, camera, np.eye(4)),
        DepthView(wall, camera, aside),
        DepthView(wall, camera, behind),
    ]
    overlap = protocol_overlap(views)
    assert np.diag(overlap) == pytest.approx(1.0)
    assert overlap[0, 1] == overlap[1, 0] == pytest.approx(0.5)
    assert overlap[0, 2] == 0


def test_pixels_without_depth_count_only_where_they_are_seen():
    camera = PinholeCamera(80, 60, 80.0, 80.0, 39.5, 29.5)
    wall = np.full((60, 80), 2.0, np.float32)
    half = wall.copy()
    half[:, :40] = 0
    views = [DepthView(wall, camera, np.eye(4)), DepthView(half, camera, np.eye(4))]
    assert protocol_overlap(views) == pytest.approx(np.array([[1, 0.5], [1, 1]]))


def test_similarity_error_by_hand():
    error = similarity_error(np.array([0.1, 0.5, 0.9]), np.array([0.0, 0.5, 1.0]))
    assert error.num_pairs == 3
    assert error.mean_absolute == pytest.approx(0.2 / 3)
    assert error.maximum == pytest.approx(0.1)
    assert error.correlation == pytest.approx(1.0)
    assert np.isnan(similarity_error(np.array([]), np.array([])).maximum)
    assert np.isnan(similarity_error(np.array([0.5, 0.5]), np.array([0.1, 0.2])).correlation)


def label(place='a', position=None, group='', near=''):
    return Label(place, position, group, frozenset(near.split()))


@pytest.mark.parametrize(
    ('match', 'expected'),
    [
        (label(position=1.0), POSITIVE),
        (label(position=2.5), JUNK),
        (label(position=4.0), NEGATIVE),
        (label(), POSITIVE),  # somewhere in the same place
        (label('b'), NEGATIVE),
        (label('b', near='a'), JUNK),
        (label('c'), JUNK),  # the query looks into it
        (label('', near='b'), NEGATIVE),
        (label(''), JUNK),  # nothing is said about it
        (label('b', group='lap'), JUNK),
    ],
)
def test_labels_by_hand(match, expected):
    query = label(position=0.0, group='lap', near='c')
    assert label_relevance([query], [match], Nearness(1.0, 3.0))[0, 0] == expected


def test_an_image_without_a_place_asks_nothing():
    assert (label_relevance([label('', near='a')], [label()], Nearness()) == JUNK).all()


@pytest.mark.parametrize('limits', [(-1.0, 1.0), (2.0, 1.0), (float('nan'), 1.0)])
def test_distances_out_of_order_are_refused(limits):
    with pytest.raises(InputError, match='no two distances in order'):
        Nearness(*limits)


def test_label_file(tmp_path):
    path = tmp_path / 'labels.csv'
    path.write_text(
        f'# how it was made\n{",".join(HEAD)}\nmap/1.jpg,a,1.5,run,b c\nmap/2.jpg,,,,\n'
    )
    labels = read_labels(path)
    assert labels['map/1.jpg'] == Label('a', 1.5, 'run', frozenset('bc'))
    assert labels['map/2.jpg'].is_left_out


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('image,place\n', 'have columns'),
        (f'{",".join(HEAD)}\nx.jpg,a,left,,\n', 'wrong line'),
        (f'{",".join(HEAD)}\nx.jpg,a,1,,\ny.jpg,a,2,,\nx.jpg,b,1,,\n', "two lines of 'x.jpg'"),
    ],
)
def test_damaged_label_files_are_refused(tmp_path, text, message):
    path = tmp_path / 'labels.csv'
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_labels(path)


@pytest.mark.parametrize(('name', 'num'), [('corridor.csv', 84), ('pepper_office.csv', 814)])
def test_the_label_files_of_the_documentation_are_complete(name, num):
    assert len(read_labels(LABELS / name)) == num
