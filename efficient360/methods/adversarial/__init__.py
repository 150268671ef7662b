"""Attacks on a model, from pixels to logits: gradient and black-box, one file each, behind one contract."""
