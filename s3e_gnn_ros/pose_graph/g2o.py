"""Pose graphs as g2o files.

Read as GTSAM reads them, so that errors compare: an EDGE_SE3:QUAT holds the information of the
tangent vector (translation, rotation vector), upper triangle, row by row. (g2o itself takes the
vector part of the quaternion, half the rotation vector, for the rotation: its chi2 differs.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import InputError, RecordingError
from s3e_gnn_ros.geometry.se3 import quat_xyzw, swap_rotation_translation
from s3e_gnn_ros.plain_data import read_text

PLANAR_INFORMATION = 1.0
"""What a lifted planar edge knows of roll, pitch and height: any value keeps a plane a plane."""

_COLUMNS = {'VERTEX_SE3:QUAT': 8, 'VERTEX_SE2': 4, 'EDGE_SE3:QUAT': 30, 'EDGE_SE2': 11}
_IGNORED = {'FIX'}  # which vertex g2o holds still: the solver anchors its own
_ROWS_3, _COLUMNS_3 = np.triu_indices(3)
_ROWS_6, _COLUMNS_6 = np.triu_indices(6)


@dataclass(frozen=True, eq=False)
class G2oGraph:
    """Poses and constraints between them.

    Attributes:
        ids: (N,) int64, distinct.
        poses: (N, 4, 4) initial or optimised.
        edge_ids: (E, 2) int64, ids of i and j.
        edge_poses: (E, 4, 4) measured T_i_j.
        information: (E, 6, 6) rotation first, then translation, perturbation on the right.
        is_planar: it came from SE2 elements, lifted to the plane z = 0.
    """

    ids: NDArray[np.int64]
    poses: NDArray[np.float64]
    edge_ids: NDArray[np.int64]
    edge_poses: NDArray[np.float64]
    information: NDArray[np.float64]
    is_planar: bool = False

    def __len__(self) -> int:
        """Return the number of poses."""
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class _Table:
    """All lines of one tag: their numbers (M,) and their values (M, columns)."""

    lines: NDArray[np.int64]
    values: NDArray[np.float64]


def read_g2o(path: Path, allow_indefinite: bool = False) -> G2oGraph:
    """Read VERTEX_SE3:QUAT and EDGE_SE3:QUAT, or VERTEX_SE2 and EDGE_SE2 (lifted to 3-D).

    Quaternions within 1 % of unit norm are normalised. Blank lines, comments (#) and FIX are
    skipped.

    Args:
        path: file to read.
        allow_indefinite: take information that is not positive definite as it stands, instead of
            refusing it. The well-known cubicle.g2o holds 5,021 such edges (its writer put the
            correlation of x, y and yaw into the wrong places).

    Raises:
        RecordingError: no such file, or a line that makes no sense; its number and text are said.
    """
    tables = _read_tables(path)
    planar = _is_planar(path, tables)
    vertices = tables['VERTEX_SE2' if planar else 'VERTEX_SE3:QUAT']
    edges = tables['EDGE_SE2' if planar else 'EDGE_SE3:QUAT']
    ids = _ids(path, vertices, 1)[:, 0]
    edge_ids = _ids(path, edges, 2)
    _check_ids(path, vertices, ids, edges, edge_ids)
    poses, edge_poses = (
        (_planar_poses(vertices.values[:, 1:]), _planar_poses(edges.values[:, 2:5]))
        if planar
        else (_poses(path, vertices, 1), _poses(path, edges, 2))
    )
    information = _information(edges, planar)
    if not allow_indefinite:
        _check_definite(path, edges, information)
    return G2oGraph(ids, poses, edge_ids, edge_poses, information, planar)


def g2o_text(graph: G2oGraph) -> str:
    """Return VERTEX_SE3:QUAT and EDGE_SE3:QUAT lines, with all digits."""
    quats, edge_quats = quat_xyzw(graph.poses), quat_xyzw(graph.edge_poses)
    information = np.array([swap_rotation_translation(matrix) for matrix in graph.information])
    upper = information.reshape(-1, 6, 6)[:, _ROWS_6, _COLUMNS_6]
    lines = [
        _line('VERTEX_SE3:QUAT', (name,), *row)
        for name, *row in zip(graph.ids.tolist(), graph.poses[:, :3, 3], quats, strict=True)
    ]
    lines += [
        _line('EDGE_SE3:QUAT', names, *row)
        for names, *row in zip(
            graph.edge_ids.tolist(), graph.edge_poses[:, :3, 3], edge_quats, upper, strict=True
        )
    ]
    return '\n'.join(lines) + '\n'


def write_g2o(path: Path, graph: G2oGraph) -> None:
    """Write :func:`g2o_text` in place of an older file.

    Raises:
        InputError: the file cannot be written.
    """
    temporary = path.with_name(f'.{path.name}.tmp')
    try:
        temporary.write_text(g2o_text(graph), encoding='ascii')
        temporary.replace(path)
    except OSError as err:
        raise InputError(f"cannot write '{path}': {err.strerror}") from err


def _line(tag: str, ids: Iterable[int], *parts: NDArray[np.float64]) -> str:
    values = [repr(value) for part in parts for value in part.tolist()]
    return ' '.join([tag, *map(str, ids), *values])


def _read_tables(path: Path) -> dict[str, _Table]:
    try:
        text = read_text(path, encoding='ascii')
    except OSError as err:
        raise RecordingError(f"cannot read '{path}': {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise RecordingError(f"'{path}' is no g2o file: byte {err.start} is no text") from err
    words: dict[str, list[list[str]]] = {tag: [] for tag in _COLUMNS}
    numbers: dict[str, list[int]] = {tag: [] for tag in _COLUMNS}
    for number, line in enumerate(text.splitlines(), 1):
        row = line.split()
        if not row or row[0].startswith('#') or row[0] in _IGNORED:
            continue
        if row[0] not in _COLUMNS:
            raise _bad_line(path, number, f"'{row[0]}' is no known element", line)
        if len(row) - 1 != _COLUMNS[row[0]]:
            wanted = f'{len(row) - 1} values instead of {_COLUMNS[row[0]]}'
            raise _bad_line(path, number, wanted, line)
        words[row[0]].append(row[1:])
        numbers[row[0]].append(number)
    return {tag: _table(path, tag, numbers[tag], words[tag]) for tag in _COLUMNS}


def _table(path: Path, tag: str, numbers: list[int], words: list[list[str]]) -> _Table:
    lines = np.array(numbers, dtype=np.int64)
    try:
        values = np.array(words, dtype=np.float64).reshape(-1, _COLUMNS[tag])
    except ValueError:
        for number, row in zip(numbers, words, strict=True):
            for word in row:
                if not _is_number(word):
                    raise _bad_line(path, number, f"'{word}' is no number", '') from None
        raise
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise _bad_line(path, numbers[bad], 'a value is not finite', ' '.join(words[bad]))
    return _Table(lines, values)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_planar(path: Path, tables: dict[str, _Table]) -> bool:
    spatial = [t for tag, t in tables.items() if 'SE3' in tag and len(t.lines)]
    planar = [t for tag, t in tables.items() if 'SE2' in tag and len(t.lines)]
    if spatial and planar:
        number = max(min(t.lines[0] for t in spatial), min(t.lines[0] for t in planar))
        raise _bad_line(path, int(number), 'SE2 and SE3 elements are mixed', '')
    if not (spatial or planar):
        raise RecordingError(f"'{path}' holds no pose graph")
    return bool(planar)


def _ids(path: Path, table: _Table, count: int) -> NDArray[np.int64]:
    ids = table.values[:, :count].astype(np.int64)
    wrong = (ids != table.values[:, :count]) | (ids < 0)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        value = f'{table.values[row, column]:.17g}'
        raise _bad_line(path, int(table.lines[row]), f'id {value} is no whole number', '')
    return ids


def _check_ids(
    path: Path,
    vertices: _Table,
    ids: NDArray[np.int64],
    edges: _Table,
    edge_ids: NDArray[np.int64],
) -> None:
    first = np.unique(ids, return_index=True)[1]
    if len(first) < len(ids):
        bad = int(np.setdiff1d(np.arange(len(ids)), first)[0])
        raise _bad_line(path, int(vertices.lines[bad]), f'vertex {ids[bad]} comes twice', '')
    known = np.isin(edge_ids, ids)
    if not known.all():
        row, column = np.argwhere(~known)[0]
        what = f'edge to vertex {edge_ids[row, column]}, which is not there'
        raise _bad_line(path, int(edges.lines[row]), what, '')
    loops = edge_ids[:, 0] == edge_ids[:, 1]
    if loops.any():
        bad = int(np.argmax(loops))
        what = f'edge from vertex {edge_ids[bad, 0]} to itself'
        raise _bad_line(path, int(edges.lines[bad]), what, '')


def _poses(path: Path, table: _Table, start: int) -> NDArray[np.float64]:
    quats = table.values[:, start + 3 : start + 7]
    norms = np.linalg.norm(quats, axis=1)
    wrong = np.abs(norms - 1.0) > 0.01
    if wrong.any():
        bad = int(np.argmax(wrong))
        what = f'quaternion {quats[bad].tolist()} has norm {norms[bad]:.4f} instead of 1'
        raise _bad_line(path, int(table.lines[bad]), what, '')
    T = np.tile(np.eye(4), (len(quats), 1, 1))
    if len(quats):
        T[:, :3, :3] = Rotation.from_quat(quats).as_matrix()
    T[:, :3, 3] = table.values[:, start : start + 3]
    return T


def _planar_poses(xy_theta: NDArray[np.float64]) -> NDArray[np.float64]:
    T = np.tile(np.eye(4), (len(xy_theta), 1, 1))
    cosines, sines = np.cos(xy_theta[:, 2]), np.sin(xy_theta[:, 2])
    T[:, 0, 0], T[:, 0, 1] = cosines, -sines
    T[:, 1, 0], T[:, 1, 1] = sines, cosines
    T[:, :2, 3] = xy_theta[:, :2]
    return T


def _information(edges: _Table, planar: bool) -> NDArray[np.float64]:
    """Return (E, 6, 6), rotation first."""
    count = len(edges.lines)
    if planar:
        small = _symmetric(edges.values[:, 5:], 3, _ROWS_3, _COLUMNS_3)  # x, y, theta
        information = np.tile(np.eye(6) * PLANAR_INFORMATION, (count, 1, 1))
        place = np.array([3, 4, 2])  # of x, y and theta in (rx, ry, rz, tx, ty, tz)
        information[:, place[:, None], place[None, :]] = small
    else:
        swapped = _symmetric(edges.values[:, 9:], 6, _ROWS_6, _COLUMNS_6)
        order = np.array([swap_rotation_translation(matrix) for matrix in swapped])
        information = order.reshape(-1, 6, 6)
    return information


def _check_definite(path: Path, edges: _Table, information: NDArray[np.float64]) -> None:
    try:
        np.linalg.cholesky(information)
    except np.linalg.LinAlgError:
        for number, matrix in zip(edges.lines.tolist(), information, strict=True):
            if not _is_positive_definite(matrix):
                least = float(np.linalg.eigvalsh(matrix)[0])
                what = f'information is not positive definite: eigenvalue {least:.3g}'
                raise _bad_line(path, number, what, '') from None


def _symmetric(
    upper: NDArray[np.float64], size: int, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    out = np.zeros((len(upper), size, size))
    out[:, rows, columns] = upper
    out[:, columns, rows] = upper
    return out


def _is_positive_definite(matrix: NDArray[np.float64]) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _bad_line(path: Path, number: int, what: str, line: str) -> RecordingError:
    shown = line if len(line) <= 60 else f'{line[:57]}...'
    text = f': {shown}' if shown else ''
    return RecordingError(f"'{path}' line {number}: {what}{text}")
