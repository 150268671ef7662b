"""A third-party package that adds an evaluator and a dimension."""
