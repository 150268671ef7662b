"""The options that say how a data set is read, and the specification that they make."""

import argparse
from typing import Any

from efficient360.cli.output_options import path_option


def add_data_options(data: argparse._ArgumentGroup) -> None:
    """Give a command the options of a data set besides its reference."""
    data.add_argument(
        "--data-dir", type=path_option, metavar="DIR", help="local copy of the data set in any layout; for manifest:FILE, the folder of its images"
    )
    data.add_argument("--split", default="", help="split to evaluate (default: the card's)")
    data.add_argument("--image-column", default="", metavar="COLUMN", help="column of images or paths (default: found by name and content)")
    data.add_argument("--label-column", default="", metavar="COLUMN", help="column of labels (default: found by name)")
    data.add_argument("--group-column", action="append", default=[], metavar="COLUMN", help="group column for fairness (repeatable)")


def dataset_spec(reference: str, options: argparse.Namespace) -> Any:
    """A data set with what the options say of it."""
    from efficient360.datasets.spec import DatasetSpec

    return DatasetSpec(reference, options.data_dir, options.split, options.image_column, options.label_column, tuple(options.group_column))
