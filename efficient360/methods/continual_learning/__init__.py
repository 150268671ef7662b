"""Continual learning: a copy of the checkpoint learns one task after another, and what it retains of each is measured."""
