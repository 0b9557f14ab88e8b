"""Retrieval of candidates: one interface, several methods."""
