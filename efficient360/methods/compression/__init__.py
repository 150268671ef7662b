"""Compressors and what they cost in accuracy: quantization, weight clustering, pruning, low-rank factorization and token merging."""
