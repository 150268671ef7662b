"""``efficient360 inspect``: what a checkpoint is, and the command that evaluates it."""

import argparse
import json

from efficient360.cli.checkpoint_options import checkpoint_spec


def inspect(options: argparse.Namespace) -> int:
    """Print what a checkpoint is."""
    from efficient360.models.description import describe_checkpoint

    description = describe_checkpoint(checkpoint_spec(options))
    if options.format == "json":
        print(json.dumps(description.to_json(), indent=2, default=str))
    else:
        print("\n".join(description.lines()))
    return 0
