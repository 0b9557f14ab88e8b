import dataclasses

import numpy as np
import pytest

from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.pair import verify_pair
from s3e_gnn_ros.simulation.recording import SimulatedRecording, SimulationOptions
from s3e_gnn_ros.types import Status


@pytest.fixture(scope='module')
def frames():
    """The first frames of a drive, a few centimetres apart, without noise."""
    options = SimulationOptions(
        seed=3, rate_hz=4.0, max_frames=3, workers=1, depth_noise=None, colour_noise=None
    )
    return list(SimulatedRecording(options).frames())


@pytest.mark.parametrize('with_encoder', [False, True])
def test_pose_of_two_frames_that_see_the_same(frames, with_encoder):
    config = EncoderConfig(backbone='none')
    encoder = Encoder(config, build_encoder(config)) if with_encoder else None
    match, query = frames[0], frames[2]
    result = verify_pair(query, match, encoder)
    assert result.status == Status.LOOP_DETECTED
    truth = se3.inverse(match.T_world_camera) @ query.T_world_camera
    error = se3.inverse(truth) @ result.T_match_query
    assert se3.translation_m(error) < 0.03
    assert np.linalg.eigvalsh(result.covariance).min() > 0


def test_an_image_of_one_colour_says_why_not(frames):
    blank = dataclasses.replace(frames[0], image=np.full((480, 640), 128, np.uint8))
    result = verify_pair(blank, frames[1])
    assert result.status == Status.TOO_FEW_MATCHES
    assert result.T_match_query is None
