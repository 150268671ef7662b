"""The thirteen axes of the 360° view, one file each."""
