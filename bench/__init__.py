"""Speed and size, as ratios to a floor server measured in the same run."""
