"""Rendered recordings: a procedural building, a camera, an IMU and a route through it."""
