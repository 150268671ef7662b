"""Continual learning: a copy of the checkpoint learns one task after another, and what it keeps of each is counted."""
