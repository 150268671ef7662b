"""The whole picture of a vision transformer: one command from a checkpoint to an honest 360° report."""
