"""Maps on disk: one SQLite file per map, written as the robot drives."""
