"""``efficient360 inspect``: what a data set is, and the command that evaluates on it."""

import argparse


def inspect(options: argparse.Namespace) -> int:
    """Print what a data set is."""
    from efficient360.datasets.description import describe
    from efficient360.datasets.spec import DatasetSpec

    spec = DatasetSpec(options.what, options.data_dir, options.split, options.image_column, options.label_column, tuple(options.group_column))
    for line in describe(spec).lines():
        print(line)
    return 0
