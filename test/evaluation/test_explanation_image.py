"""The drawing of a pair."""

import dataclasses

import numpy as np
import pytest
from synthetic import CAMERA, World, look_at, random_wall_points, select_features

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.evaluation.explanation_image import (
    BAR_PX,
    GAP_PX,
    GREEN_BGR,
    HEIGHT_PX,
    RED_BGR,
    draw_story,
)
from s3e_gnn_ros.evaluation.explanation_text import story_text
from s3e_gnn_ros.loop_closure.explanation import Explanation
from s3e_gnn_ros.loop_closure.moment import Exclusion, SearchStory
from s3e_gnn_ros.loop_closure.verification import Verifier
from s3e_gnn_ros.map_store.pair_story import PairStory
from s3e_gnn_ros.types import KeyframeKey, Status

WIDTH_PX = 640
T_WORLD_MATCH = look_at([-0.6, -0.2, 1.2], [1.4, 0.8, 3.7])
T_WORLD_QUERY = look_at([-0.3, -0.3, 1.4], [1.4, 0.8, 3.7])


@pytest.fixture(scope='module')
def story():
    """A pair without pictures, a few of whose matches are wrong."""
    rng = np.random.default_rng(2)
    world = World(random_wall_points(200, rng), rng)
    match, query = world.view(3, T_WORLD_MATCH), world.view(40, T_WORLD_QUERY)
    points = query.features.points_px.copy()
    points[:20] = rng.uniform((0, 0), (CAMERA.width, CAMERA.height), (20, 2))
    landmarks = query.features.landmarks_m.copy()
    landmarks[:20] = np.nan  # else these agree with the way back
    features = dataclasses.replace(
        query.features,
        points_px=points,
        points_normalised=CAMERA.normalise(points),
        landmarks_m=landmarks,
    )
    query = dataclasses.replace(query, features=features)
    config = Config()
    found = Verifier(config.verification, config.features).verify(query, match)
    assert found.status == Status.LOOP_DETECTED
    search = SearchStory(
        num_keyframes=40,
        num_eligible=30,
        similarity=0.6,
        raw=0.8,
        rank=1,
        exclusion=Exclusion(True, 37, 37.0, is_too_near=False, is_too_recent=False),
        predecessor=KeyframeKey(1, 39),
        nss=0.9,
        previous=None,
        distance=None,
        candidates=(),
        status=Status.LOOP_DETECTED,
        ending=None,
    )
    keys = KeyframeKey(1, 40), KeyframeKey(1, 3)
    explanation = Explanation(*keys, query, match, search, search, found, 0, 0, config)
    return PairStory(explanation, None, (None, None))


def pixels(image, colour):
    return (image == np.array(colour, np.uint8)).all(axis=2)


def drawn_at(image, views, side, row):
    """The colour in the middle of a feature's dot."""
    view = views[side]
    x, y = (view.features.points_px[row] + 0.5) * HEIGHT_PX / view.camera.height - 0.5
    return image[round(float(y)) + BAR_PX, round(float(x)) + side * (WIDTH_PX + GAP_PX)]


def test_green_where_it_agrees_and_red_where_not(story):
    image = draw_story(story)
    assert image.shape == (HEIGHT_PX + 2 * BAR_PX, 2 * WIDTH_PX + GAP_PX, 3)
    explanation = story.explanation
    views = explanation.query_view, explanation.match_view
    found = explanation.verification
    assert 5 < (~found.is_inlier).sum() < 21
    num_red = 0
    for pair, is_inlier in zip(found.matches.tolist(), found.is_inlier, strict=True):
        colours = {tuple(drawn_at(image, views, side, pair[side]).tolist()) for side in (0, 1)}
        assert not is_inlier or colours == {GREEN_BGR}
        num_red += colours == {RED_BGR}
    # What agrees is drawn over what does not.
    assert 0.5 * (~found.is_inlier).sum() < num_red <= (~found.is_inlier).sum()


def test_pictures_of_any_size_fill_their_half(story):
    bright = np.full((60, 80), 250, np.uint8)
    dark = np.full((960, 1280, 3), 5, np.uint8)
    image = draw_story(dataclasses.replace(story, pictures=(bright, dark)))
    body = image[BAR_PX:-BAR_PX]
    assert np.median(body[:, :WIDTH_PX]) == 250
    assert np.median(body[:, WIDTH_PX + GAP_PX :]) == 5


def test_a_pair_without_matches(story):
    explanation = story.explanation
    none = select_features(explanation.match_view.features, np.arange(0))
    match = dataclasses.replace(explanation.match_view, features=none)
    config = explanation.config
    found = Verifier(config.verification, config.features).verify(explanation.query_view, match)
    explanation = dataclasses.replace(explanation, match_view=match, verification=found)
    told = dataclasses.replace(story, explanation=explanation)
    image = draw_story(told)
    assert not pixels(image, GREEN_BGR).any()
    assert not pixels(image, RED_BGR).any()
    text = story_text(told)
    assert 'matches      0: 0 ORB; least 20' in text
    assert 'forward      not tried' in text
    assert 'Verdict: TOO_FEW_MATCHES: 0 descriptor matches' in text
