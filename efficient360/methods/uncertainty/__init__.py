"""Uncertainty: calibration, conformal prediction, out-of-distribution detection, Bayesian approximations."""
