"""Edges, loop closures among them, as rows of a map's table."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store.columns import check_texts
from s3e_gnn_ros.map_store.damage import DamageError
from s3e_gnn_ros.map_store.records import EdgeKind, StoredEdge
from s3e_gnn_ros.map_store.values import (
    find_seq,
    name_of,
    pose_from_blob,
    pose_to_blob,
    session_from_sql,
)
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

_SELECT = """
SELECT a.session, a.keyframe_id, b.session, b.keyframe_id, e.kind, e.T_i_j, e.covariance,
    e.similarity, e.num_inliers, e.inlier_ratio, e.weight,
    a.stamp_ns, b.stamp_ns, oa.robot_id, ob.robot_id
FROM edge e JOIN keyframe a ON a.seq = e.i JOIN keyframe b ON b.seq = e.j
JOIN origin oa ON oa.id = a.origin JOIN origin ob ON ob.id = b.origin
"""


def edge_of_closure(closure: LoopClosure) -> StoredEdge:
    """Return a closure as an edge from match to query."""
    return StoredEdge(
        kind=EdgeKind.CLOSURE,
        i=closure.match,
        j=closure.query,
        T_i_j=closure.T_match_query,
        covariance=closure.covariance,
        similarity=closure.similarity,
        num_inliers=closure.num_inliers,
        inlier_ratio=closure.inlier_ratio,
    )


def insert_edge(connection: sqlite3.Connection, edge: StoredEdge) -> None:
    """Write an edge inside a transaction.

    Raises:
        InputError: one of its keyframes is not in the map, the edge is already, or a value of it
            cannot be stored.
    """
    i, j = _ends(connection, edge.i, edge.j)
    if edge.kind in (EdgeKind.CLOSURE, EdgeKind.REJECTED) and edge.T_i_j is None:
        raise InputError(f'closure {name_of(edge.j)} -> {name_of(edge.i)} has no pose')
    try:
        connection.execute(
            'INSERT INTO edge VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
            (
                int(edge.kind),
                i,
                j,
                pose_to_blob(edge.T_i_j),
                pose_to_blob(edge.covariance, (6, 6)),
                float(edge.similarity),
                int(edge.num_inliers),
                float(edge.inlier_ratio),
                float(edge.weight),
            ),
        )
    except sqlite3.IntegrityError:
        raise InputError(
            f'{edge.kind.name} edge {name_of(edge.j)} -> {name_of(edge.i)} is in the map already'
        ) from None


def delete_edge(
    connection: sqlite3.Connection, kind: EdgeKind, i: KeyframeKey, j: KeyframeKey
) -> None:
    """Delete an edge inside a transaction.

    Raises:
        InputError: there is none.
    """
    ends = _ends(connection, i, j)
    done = connection.execute('DELETE FROM edge WHERE i = ? AND j = ? AND kind = ?', (*ends, kind))
    if done.rowcount == 0:
        raise InputError(f'no {kind.name} edge {name_of(j)} -> {name_of(i)} is in the map')


def change_kind(
    connection: sqlite3.Connection, i: KeyframeKey, j: KeyframeKey, old: EdgeKind, new: EdgeKind
) -> None:
    """Give an edge another kind; one of that kind between the two is replaced.

    Raises:
        InputError: there is none of the old kind.
    """
    ends = _ends(connection, i, j)
    done = connection.execute(
        'UPDATE OR REPLACE edge SET kind = ? WHERE i = ? AND j = ? AND kind = ?',
        (int(new), *ends, int(old)),
    )
    if done.rowcount == 0:
        raise InputError(f'no {old.name} edge {name_of(j)} -> {name_of(i)} is in the map')


def set_weight(
    connection: sqlite3.Connection, i: KeyframeKey, j: KeyframeKey, weight: float
) -> bool:
    """Set the weight of a closure; False when the map does not hold it."""
    a, b = find_seq(connection, i), find_seq(connection, j)
    done = connection.execute(
        'UPDATE edge SET weight = ? WHERE i = ? AND j = ? AND kind = ?',
        (float(weight), a, b, int(EdgeKind.CLOSURE)),
    )
    return done.rowcount > 0


def read_edges(connection: sqlite3.Connection, kind: EdgeKind | None) -> list[StoredEdge]:
    """Read the edges of one kind, or all, in order of addition.

    Raises:
        DamageError: one is damaged.
    """
    return [_edge(row) for row in _select(connection, kind)]


def read_closures(connection: sqlite3.Connection, kind: EdgeKind) -> list[LoopClosure]:
    """Read the edges of a kind that have pose and covariance as closures, in order of addition.

    Raises:
        DamageError: one is damaged.
    """
    return [_closure(row) for row in _select(connection, kind)]


def _select(connection: sqlite3.Connection, kind: EdgeKind | None) -> list[tuple[Any, ...]]:
    if kind is None:
        return connection.execute(_SELECT + 'ORDER BY e.id').fetchall()
    return connection.execute(_SELECT + 'WHERE e.kind = ? ORDER BY e.id', (int(kind),)).fetchall()


def _edge(row: tuple[Any, ...]) -> StoredEdge:
    kind, T_i_j, covariance, similarity, num_inliers, inlier_ratio, weight = row[4:11]
    if not np.isfinite([float(each) for each in (similarity, inlier_ratio, weight)]).all():
        raise DamageError(f'an edge has figures that are not finite: {row[7:11]}')
    return StoredEdge(
        kind=EdgeKind(kind),
        i=KeyframeKey(session_from_sql(row[0]), row[1]),
        j=KeyframeKey(session_from_sql(row[2]), row[3]),
        T_i_j=pose_from_blob(T_i_j),
        covariance=pose_from_blob(covariance, (6, 6)),
        similarity=float(similarity),
        num_inliers=int(num_inliers),
        inlier_ratio=float(inlier_ratio),
        weight=float(weight),
    )


def _closure(row: tuple[Any, ...]) -> LoopClosure:
    edge = _edge(row)
    check_texts(row[13], row[14])
    if edge.T_i_j is None or edge.covariance is None:
        raise DamageError(f'closure {name_of(edge.j)} -> {name_of(edge.i)} lacks its pose')
    return LoopClosure(
        query_id=edge.j.keyframe_id,
        match_id=edge.i.keyframe_id,
        query_session=edge.j.session,
        match_session=edge.i.session,
        query_stamp_ns=int(row[12]),
        match_stamp_ns=int(row[11]),
        T_match_query=edge.T_i_j,
        covariance=edge.covariance,
        similarity=edge.similarity,
        num_inliers=edge.num_inliers,
        inlier_ratio=edge.inlier_ratio,
        query_robot_id=row[14],
        match_robot_id=row[13],
    )


def _ends(connection: sqlite3.Connection, i: KeyframeKey, j: KeyframeKey) -> tuple[int, int]:
    a, b = find_seq(connection, i), find_seq(connection, j)
    if a is None or b is None:
        missing = i if a is None else j
        raise InputError(
            f'edge {name_of(j)} -> {name_of(i)} needs keyframe {name_of(missing)}, '
            'which the map does not hold'
        )
    return a, b
