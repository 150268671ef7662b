"""Accuracy under natural distribution shift: shifted versions of a test set compared with the clean one."""
