"""Explanations of a prediction, and what is measured of them."""
