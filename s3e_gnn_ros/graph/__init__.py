"""Embedding pose graph, GNN and the inverse cross-entropy query (paper section III B)."""
