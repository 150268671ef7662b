"""Group fairness: disparities between groups of examples, and what chance alone would give."""
