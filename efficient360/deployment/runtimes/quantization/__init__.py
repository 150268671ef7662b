"""Quantization that all runtimes share: what is done to an exported program before a runtime's own quantizer takes it, and grids of weights."""
