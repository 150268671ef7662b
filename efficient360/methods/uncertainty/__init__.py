"""Whether a model knows how sure it may be: calibration, conformal sets, images unlike its own, uncertainty of its weights."""
