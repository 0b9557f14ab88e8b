"""Training of the encoders and the graph network: the data, and the loop that learns from it."""
