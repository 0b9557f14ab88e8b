"""What the whole has to show on a real recording and on a simulated one, through the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from s3e_gnn_ros.cli.main import main

RED_KITCHEN = Path(__file__).resolve().parents[1].parent / 'shared' / 'data' / 'redkitchen'


@pytest.mark.skipif(not RED_KITCHEN.is_dir(), reason='the recording is not at hand')
def test_red_kitchen_gets_better_without_a_wrong_closure(tmp_path: Path) -> None:
    cv2 = pytest.importorskip('cv2')
    if not hasattr(cv2, 'OdometrySettings'):
        pytest.skip('RGB-D odometry needs OpenCV 5')
    assert main(['replay', str(RED_KITCHEN), '--odometry', 'rgbd', '--out', str(tmp_path)]) == 0
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics['num_closures'] > 50
    assert metrics['num_wrong_closures'] == 0
    assert metrics['num_unchecked_closures'] == 0
    assert metrics['ate_rmse_m_optimised'] <= 0.7 * metrics['ate_rmse_m_odometry']


def test_a_simulated_building_closes_in_both_directions(tmp_path: Path) -> None:
    pytest.importorskip('embreex')
    bag, out = tmp_path / 'bag', tmp_path / 'out'
    simulate = ['simulate', '--out', str(bag), '--rate', '2', '--image-transport', 'compressed']
    assert main(simulate) == 0
    assert main(['replay', str(bag), '--out', str(out)]) == 0
    metrics = json.loads((out / 'metrics.json').read_text())
    assert metrics['num_wrong_closures'] == 0
    assert metrics['num_closures_same_direction'] > 20
    assert metrics['num_closures_opposite_direction'] > 20
    assert metrics['ate_rmse_m_odometry'] > 0.3  # else there is nothing to correct
    assert metrics['ate_rmse_m_optimised'] <= 0.3 * metrics['ate_rmse_m_odometry']
    with (out / 'closures.csv').open() as file:
        errors_m = [float(row['translation_error_m']) for row in csv.DictReader(file)]
    assert max(errors_m) < 0.2
