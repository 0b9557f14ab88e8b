"""Every status is reached by a drive made for it; S3E and bag of words find a revisit."""

import numpy as np
import pytest
import synthetic

from s3e_gnn_ros.dbow import (
    Database,
    GeometricalCheck,
    ImageFeatures,
    LoopDetector,
    Parameters,
    Status,
)
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3

OUT = list(range(16))
BACK_AGAIN = [*OUT, *range(4, 10)]  # from the 17th on, the places 4, 5 ... are seen again
FUNDAMENTAL = [GeometricalCheck.EXHAUSTIVE, GeometricalCheck.DI, GeometricalCheck.FLANN]


def drive(detector, street, places, **values):
    return [
        detector.detect_loop(street.see(place, seed, **values))
        for seed, place in enumerate(places)
    ]


@pytest.fixture(name='detect')
def _detect(vocabulary, street):
    """Return a function that drives along places with some parameters; gives the results."""

    def run(places, see=street.see, **values):
        values = {'dislocal': 6, 'k': 2, 'geom_check': GeometricalCheck.EXHAUSTIVE, **values}
        detector = LoopDetector(Database(vocabulary=vocabulary), Parameters(**values))
        return [detector.detect_loop(see(place, seed)) for seed, place in enumerate(places)]

    return run


def test_a_revisit_is_a_loop_as_soon_as_it_lasts(detect):
    results = detect(BACK_AGAIN)
    assert [each.query for each in results] == list(range(22))
    assert {each.status for each in results[:7]} == {Status.CLOSE_MATCHES_ONLY}
    assert {each.match for each in results[:7]} == {-1}
    back = results[16:]
    assert [each.match for each in back] == [4, 5, 6, 7, 8, 9]
    # k = 2: the third consistent query in a row is the first that is accepted.
    assert [each.status for each in back] == [
        *[Status.NO_TEMPORAL_CONSISTENCY] * 2,
        *[Status.LOOP_DETECTED] * 4,
    ]
    assert [each.detection for each in results] == [False] * 18 + [True] * 4
    assert all(0.3 < each.score <= 1.0 for each in back)


@pytest.mark.parametrize('way', FUNDAMENTAL)
def test_a_fundamental_matrix_confirms_another_view_of_the_place(detect, street, way):
    def see(place, seed):
        return street.see(place, seed, sideways_m=0.3 if seed >= 16 else 0.0)

    results = detect(BACK_AGAIN, see, geom_check=way)
    assert [each.status for each in results[18:]] == [Status.LOOP_DETECTED] * 4


@pytest.mark.parametrize('way', FUNDAMENTAL)
def test_the_same_words_elsewhere_in_the_image_are_no_loop(detect, street, way):
    def see(place, seed):
        # Few, because 12 of very many wrong matches agree with some matrix by chance.
        seen = street.see(place)
        order = np.random.default_rng(seed).permutation(25)
        return ImageFeatures(
            keypoints_px=seen.keypoints_px[order], descriptors=seen.descriptors[:25]
        )

    results = detect(BACK_AGAIN, see, geom_check=way)
    assert [each.status for each in results[18:]] == [Status.NO_GEOMETRICAL_CONSISTENCY] * 4
    assert [each.match for each in results[18:]] == [6, 7, 8, 9]


def test_without_a_check_bare_descriptors_are_enough(detect, street):
    results = detect(
        BACK_AGAIN, lambda *seen: street.see(*seen).descriptors, geom_check=GeometricalCheck.NONE
    )
    assert results[-1].status == Status.LOOP_DETECTED
    assert results[-1].match == 9


def test_nothing_in_common_is_no_result(detect, street):
    empty = ImageFeatures(keypoints_px=np.zeros((0, 2)), descriptors=np.zeros((0, 32), np.uint8))
    results = detect([*OUT, 4], lambda p, seed: empty if seed == 16 else street.see(p, seed))
    assert results[16].status == Status.NO_DB_RESULTS
    assert (results[16].match, results[16].score) == (-1, 0.0)


def test_an_image_unlike_the_one_before_it_is_not_judged(detect):
    results = detect([*OUT, 4], min_nss_factor=0.2)  # from place 15 to place 4 in one step
    assert results[16].status == Status.LOW_NSS_FACTOR
    assert results[16].match == -1
    assert detect([*OUT, 4], min_nss_factor=0.2, use_nss=False)[16].match == 4


def test_a_new_place_scores_low(detect):
    results = detect(range(20))
    assert results[19].status == Status.LOW_SCORES
    assert results[19].match == -1


def test_alpha_is_a_share_of_the_score_to_the_image_before(detect, street):
    places = [*OUT, 4, 5]
    with_nss = detect(places, alpha=0.9)[17]
    assert with_nss.match == 5  # 0.9 of the score to its neighbour, which is far below 0.9
    assert detect(places, alpha=0.9, use_nss=False)[17].status == Status.LOW_SCORES


def test_lonely_results_make_no_group(detect):
    values = {'alpha': 0.9, 'min_matches_per_group': 3, 'max_intragroup_gap': 1}
    # Place 4 was seen twice, 8 entries apart, and no other result is good enough.
    results = detect([*range(8), 12, 4, 13, 14, 15, 16, 17, 18, 4], **values)
    assert results[16].status == Status.NO_GROUPS
    assert results[16].match in (4, 9)


def test_matches_that_jump_about_are_not_consistent(detect):
    results = detect([*OUT, 1, 9, 1, 9, 1], use_nss=False, alpha=0.2)
    assert {each.status for each in results[16:]} == {Status.NO_TEMPORAL_CONSISTENCY}
    assert [each.match for each in results[16:]] == [1, 9, 1, 9, 1]


def test_di_compares_only_features_under_one_node(vocabulary, street):
    """Words that a few wrong bits have changed match once the index goes up to the root."""
    parameters = {
        'dislocal': 6,
        'k': 0,
        'geom_check': GeometricalCheck.DI,
        'max_neighbor_ratio': 1,
    }
    counts = []
    for levels in (0, vocabulary.depth):
        detector = LoopDetector(
            Database(vocabulary=vocabulary), Parameters(di_levels=levels, **parameters)
        )
        results = drive(detector, street, BACK_AGAIN)
        counts.append(len(results[-1].verification.matches))
    assert 12 <= counts[0] < counts[1] <= 150


def test_the_detector_has_a_database_of_its_own(vocabulary, street):
    database = Database(vocabulary=vocabulary)
    database.add(street.see(0).descriptors)
    detector = LoopDetector(database, Parameters(dislocal=6, k=2, di_levels=1))
    assert (len(detector.database), detector.database.di_levels) == (0, 1)
    first = drive(detector, street, BACK_AGAIN)
    assert (len(detector.database), len(database), database.di_levels) == (22, 1, 0)
    detector.clear()
    again = drive(detector, street, BACK_AGAIN)
    assert [(r.status, r.query, r.match) for r in again] == [
        (r.status, r.query, r.match) for r in first
    ]


def test_what_cannot_be_used_is_refused_and_not_remembered(vocabulary, street):
    parameters = Parameters(image_rows=240, image_cols=320)
    detector = LoopDetector(Database(vocabulary=vocabulary), parameters)
    with pytest.raises(InputError, match="without keypoints, which the geometrical check 'di'"):
        detector.detect_loop(street.see(0).descriptors)
    with pytest.raises(InputError, match=r'image is \(64, 48\) \[px\] instead of \(320, 240\)'):
        detector.detect_loop(ImageFeatures(np.zeros((48, 64), np.uint8)))
    with pytest.raises(InputError, match='descriptors are'):
        detector.detect_loop(np.zeros((4, 16), np.uint8))
    assert len(detector.database) == 0
    assert detector.detect_loop(ImageFeatures(np.zeros((240, 320), np.uint8))).query == 0


# On rendered images.


def there_and_back(num_frames=12):
    """Return frames along a wall and, a hand's breadth off and turned a little, back."""
    path = [
        synthetic.look_at([x, 0.1, 0.6], [x + 0.4, 0.2, 4.0])
        for x in np.linspace(-9, 0, num_frames)
    ]
    aside = se3.expmap([0.0, 0.03, 0.03, 0.05, 0.02, 0.04])
    poses = [*path, *(pose @ aside for pose in reversed(path))]
    return [synthetic.make_frame(pose) for pose in poses]


@pytest.fixture(name='frames', scope='module')
def _frames():
    return there_and_back()


@pytest.mark.parametrize('method', ['bow', 's3e'])
def test_a_revisit_is_found_in_rendered_images(frames, method):
    db = Database(method)
    for number, frame in enumerate(frames):
        seen = ImageFeatures(frame.image)
        found = db.query(seen, 4, number - 5)
        db.add(seen)
        if number >= 15:
            off = [abs(each.id - (23 - number)) for each in found]
            # S3E asks with its last five images, which at the turn lie on one side of this one.
            assert off[0] <= (3 if method == 's3e' else 2)
            assert min(off) <= 1
            assert 0.0 < found[-1].score <= found[0].score <= 1.0


@pytest.mark.parametrize('method', ['bow', 's3e'])
@pytest.mark.parametrize('way', [GeometricalCheck.EXHAUSTIVE, GeometricalCheck.POSE])
def test_the_loop_detector_confirms_it(frames, method, way):
    detector = LoopDetector(
        Database(method),
        Parameters(image_rows=240, image_cols=320, dislocal=4, k=1, geom_check=way),
    )
    found = [
        detector.detect_loop(ImageFeatures(f.image, camera=f.camera, depth_m=f.depth_m))
        for f in frames
    ]
    assert not any(each.detection for each in found[:12])
    loops = [each for each in found[16:] if each.detection]
    assert len(loops) >= 6
    for each in loops:
        assert abs(each.match - (23 - each.query)) <= 3  # its image holds a third of that one
        if way is GeometricalCheck.POSE:
            truth = se3.inverse(frames[each.match].T_world_camera)
            truth = truth @ frames[each.query].T_world_camera
            error = se3.inverse(truth) @ each.verification.T_match_query
            assert se3.translation_m(error) < 0.05
            assert se3.rotation_angle_deg(error) < 1.0


def test_without_depth_a_pose_is_checked_by_the_fundamental_matrix(frames):
    parameters = Parameters(dislocal=4, k=1, geom_check=GeometricalCheck.POSE)
    detector = LoopDetector(Database('bow'), parameters)
    found = [detector.detect_loop(ImageFeatures(f.image, camera=f.camera)) for f in frames]
    loops = [each for each in found if each.detection]
    assert len(loops) >= 6
    assert all(each.verification.T_match_query is None for each in loops)
    detector.clear()
    found = [detector.detect_loop(ImageFeatures(f.image)) for f in frames]
    assert sum(each.detection for each in found) == len(loops)


def test_the_verification_says_what_it_found_wanting(frames):
    parameters = Parameters(dislocal=4, k=0, geom_check=GeometricalCheck.POSE)
    detector = LoopDetector(Database('bow'), parameters)
    for frame in frames[:12]:
        detector.detect_loop(
            ImageFeatures(frame.image, camera=frame.camera, depth_m=frame.depth_m)
        )
    wrong_m = frames[14].depth_m * 0.6  # a depth that contradicts what was seen before
    seen = ImageFeatures(frames[14].image, camera=frames[14].camera, depth_m=wrong_m)
    assert detector.detect_loop(seen).status > Status.NO_GEOMETRICAL_CONSISTENCY
