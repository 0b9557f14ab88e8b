"""A pair of keyframes side by side, with what matched: green where it agrees, red where not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.loop_closure.explanation import Explanation
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.map_store.pair_story import PairStory
from s3e_gnn_ros.types import KeyframeKey

Image = NDArray[np.uint8]

HEIGHT_PX = 480
GAP_PX = 8
BAR_PX = 30
MAX_LINES = 60
"""Of each colour: more of them hide the pictures."""

GREEN_BGR = (115, 158, 0)  # bluish green and vermilion: to be told apart by everybody
RED_BGR = (0, 94, 213)
_TEXT_BGR = (40, 40, 40)
_NO_PICTURE = 128


def draw_story(story: PairStory) -> Image:
    """Draw query left and match right, each ``HEIGHT_PX`` high, under a bar of text.

    Lines are drawn for at most ``MAX_LINES`` matches of each colour, spread evenly; all matches
    have their dots. Where there is no picture, it is grey.
    """
    explanation = story.explanation
    views = explanation.query_view, explanation.match_view
    pictures = [_fitted(*each) for each in zip(story.pictures, views, strict=True)]
    gap = np.full((HEIGHT_PX, GAP_PX, 3), 255, dtype=np.uint8)
    canvas = np.ascontiguousarray(np.hstack((pictures[0], gap, pictures[1])))
    offset_px = pictures[0].shape[1] + GAP_PX
    _draw_matches(canvas, explanation, offset_px)
    head = _bar(canvas.shape[1])
    _write(head, _title('query', explanation.query), 8)
    _write(head, _title('match', explanation.match), offset_px + 8)
    foot = _bar(canvas.shape[1])
    _write(foot, _caption(explanation), 8)
    return np.vstack((head, canvas, foot))


def _fitted(picture: Image | None, view: View) -> Image:
    """Return a picture in colour, and in the shape of its camera's images."""
    camera = view.camera
    size = max(1, round(camera.width * HEIGHT_PX / camera.height)), HEIGHT_PX
    if picture is None:
        return np.full((size[1], size[0], 3), _NO_PICTURE, dtype=np.uint8)
    grey = picture.ndim == 2 or picture.shape[2] == 1
    colour = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if grey else picture
    shrinks = colour.shape[0] > HEIGHT_PX
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(colour, size, interpolation=how), dtype=np.uint8)


def _draw_matches(canvas: Image, explanation: Explanation, offset_px: int) -> None:
    matches = explanation.verification.matches
    is_inlier = explanation.verification.measured.is_inlier(len(matches))
    left = _scaled(explanation.query_view, matches[:, 0])
    right = _scaled(explanation.match_view, matches[:, 1])
    right[:, 0] += offset_px
    ends = np.hstack((left, right)).round().astype(int)  # (P, 4)
    for colour, chosen in ((RED_BGR, ends[~is_inlier]), (GREEN_BGR, ends[is_inlier])):
        rows = np.linspace(0, len(chosen) - 1, min(MAX_LINES, len(chosen))).round().astype(int)
        for x, y, u, v in chosen[rows].tolist():
            cv2.line(canvas, (x, y), (u, v), colour, 1, cv2.LINE_AA)
        for x, y, u, v in chosen.tolist():
            cv2.circle(canvas, (x, y), 3, colour, -1, cv2.LINE_AA)
            cv2.circle(canvas, (u, v), 3, colour, -1, cv2.LINE_AA)


def _scaled(view: View, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return features (P, 2) in the pixels of the drawing."""
    scale = HEIGHT_PX / view.camera.height
    return (view.features.points_px[rows].astype(np.float64) + 0.5) * scale - 0.5


def _title(role: str, key: KeyframeKey) -> str:
    return f'{role}: keyframe {key.keyframe_id} of session {key.session}'


def _caption(explanation: Explanation) -> str:
    found = explanation.verification
    num = int(found.measured.is_inlier(len(found.matches)).sum())
    status = found.status.name.lower().replace('_', ' ')
    return f'{num} of {len(found.matches)} matches agree with a pose (green): {status}'


def _bar(width_px: int) -> Image:
    return np.full((BAR_PX, width_px, 3), 255, dtype=np.uint8)


def _write(bar: Image, text: str, x: int) -> None:
    cv2.putText(bar, text, (x, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.55, _TEXT_BGR, 1, cv2.LINE_AA)
