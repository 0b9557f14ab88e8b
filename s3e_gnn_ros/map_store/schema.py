"""Tables of a map file. ``docs/maps.md`` explains them."""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x53334547  # 'S3EG', in the file's header
VERSION = 1
# Blobs of tens of kilobytes: fewer, longer chains of pages than SQLite's 4 kB give.
PAGE_BYTES = 8192

META_CREATED = 'created_ns'
META_IN_USE = 'in_use'
META_WEIGHTS = 'weights'

TABLES = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE weights (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);

CREATE TABLE origin (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    robot_id TEXT NOT NULL,
    odom_frame TEXT NOT NULL,
    camera_frame TEXT NOT NULL,
    UNIQUE (session, robot_id, odom_frame, camera_frame)
);

CREATE TABLE camera (
    id INTEGER PRIMARY KEY,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    fx REAL NOT NULL,
    fy REAL NOT NULL,
    cx REAL NOT NULL,
    cy REAL NOT NULL,
    distortion_model TEXT NOT NULL,
    distortion BLOB NOT NULL,
    UNIQUE (width, height, fx, fy, cx, cy, distortion_model, distortion)
);

CREATE TABLE keyframe (
    seq INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    keyframe_id INTEGER NOT NULL,
    stamp_ns INTEGER NOT NULL,
    origin INTEGER NOT NULL REFERENCES origin (id),
    camera INTEGER NOT NULL REFERENCES camera (id),
    depth_camera INTEGER REFERENCES camera (id),
    T_odom_camera BLOB NOT NULL,
    T_map_camera BLOB,
    UNIQUE (session, keyframe_id)
);

CREATE TABLE view (
    seq INTEGER PRIMARY KEY REFERENCES keyframe (seq) ON DELETE CASCADE,
    data BLOB NOT NULL
);

CREATE TABLE thumbnail (
    seq INTEGER PRIMARY KEY REFERENCES keyframe (seq) ON DELETE CASCADE,
    data BLOB NOT NULL
);

CREATE TABLE encoding (
    id INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL REFERENCES keyframe (seq) ON DELETE CASCADE,
    weights INTEGER NOT NULL REFERENCES weights (id),
    embedding BLOB,
    patches BLOB,
    UNIQUE (seq, weights)
);

CREATE TABLE edge (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    i INTEGER NOT NULL REFERENCES keyframe (seq) ON DELETE CASCADE,
    j INTEGER NOT NULL REFERENCES keyframe (seq) ON DELETE CASCADE,
    T_i_j BLOB,
    covariance BLOB,
    similarity REAL NOT NULL,
    num_inliers INTEGER NOT NULL,
    inlier_ratio REAL NOT NULL,
    weight REAL NOT NULL,
    UNIQUE (i, j, kind)
);

CREATE INDEX edge_j ON edge (j);
CREATE INDEX encoding_weights ON encoding (weights);
"""


def create_schema(connection: sqlite3.Connection) -> None:
    """Make an empty map of an empty database."""
    connection.execute(f'PRAGMA page_size = {PAGE_BYTES}')
    connection.execute('PRAGMA journal_mode = WAL')
    connection.executescript(f'BEGIN; {TABLES} COMMIT;')
    connection.execute(f'PRAGMA application_id = {APPLICATION_ID}')
    connection.execute(f'PRAGMA user_version = {VERSION}')


def described(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return name and definition of all that a database consists of."""
    rows = connection.execute('SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL')
    return {(str(name), str(sql)) for name, sql in rows if not str(name).startswith('sqlite_')}


def expected() -> set[tuple[str, str]]:
    """Return what a map of this version consists of."""
    connection = sqlite3.connect(':memory:')
    try:
        connection.executescript(TABLES)
        return described(connection)
    finally:
        connection.close()
