"""The options that say which checkpoint, as the checkpoint's specification."""

import argparse
import sys
from typing import Any

from efficient360.errors import SettingsError


def checkpoint_spec(options: argparse.Namespace) -> Any:
    """The checkpoint that the options name."""
    from efficient360.models.checkpoint import CheckpointSpec

    return CheckpointSpec(
        options.checkpoint, options.arch, architecture_arguments(options.arch_arg), random_weights=options.random_weights, weights_key=weights_key(options), seed=options.seed
    )


def weights_key(options: argparse.Namespace) -> str:
    """Which of a file's weights the options choose; the deprecated ``--ema`` is told."""
    if options.ema:
        print("efficient360: --ema is deprecated; --weights-key ema does the same", file=sys.stderr)
    return str(options.weights_key or ("ema" if options.ema else ""))


def architecture_arguments(pairs: list[str]) -> dict[str, Any]:
    """The arguments of an architecture in ``KEY=VALUE`` pairs.

    Raises:
        SettingsError: A pair is none, or its value is no YAML.
    """
    from efficient360.core.parsing import parse_yaml

    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise SettingsError("bad-option", f"--arch-arg {pair} is not KEY=VALUE", "write it as --arch-arg img_size=32")
        try:
            arguments[key] = parse_yaml(value)
        except ValueError as error:
            raise SettingsError("bad-option", f"the value in --arch-arg {pair} is not YAML: {error}", "quote it, or write lists as [a, b]") from error
    return arguments
