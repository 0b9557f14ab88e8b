"""From a keyframe to its embedding: keypoints, patches, networks."""
