"""Attribution methods, which explain a prediction by its input, and their evaluation."""
