"""From keyframes to verified loop closures."""
