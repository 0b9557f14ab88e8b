"""Rigid transforms, cameras and trajectories."""
