"""Computational complexity: MACs and activations, their scaling with resolution, and memory."""
