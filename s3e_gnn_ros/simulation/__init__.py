"""Rendered recordings with exact ground truth."""
