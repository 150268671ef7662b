"""Co-design of image classifiers: which variants there are of a checkpoint, and what they cost and lose on a device."""
