"""The options that say which checkpoint, as the checkpoint's specification."""

import argparse
import sys
from typing import Any, Final

from efficient360.errors import SettingsError

PLACEHOLDER: Final = "N"
"""What stands for a number in the commands that are offered."""
_USUAL: Final = {"num_heads": 6, "img_size": 224, "num_classes": 10, "depth": 12}
_EXAMPLES: Final = {"--arch-arg": "img_size=32", "--preprocess": "input_size=32"}


def checkpoint_spec(options: argparse.Namespace) -> Any:
    """The checkpoint that the options name."""
    from efficient360.models.checkpoint import CheckpointSpec

    return CheckpointSpec(
        options.checkpoint,
        options.arch,
        pairs("--arch-arg", options.arch_arg),
        random_weights=options.random_weights,
        weights_key=weights_key(options),
        seed=options.seed,
        output=options.output,
        preprocessing=pairs("--preprocess", options.preprocess),
    )


def weights_key(options: argparse.Namespace) -> str:
    """Which of a file's weights the options choose; the deprecated ``--ema`` is told."""
    if options.ema:
        print("efficient360: --ema is deprecated; --weights-key ema does the same", file=sys.stderr)
    return str(options.weights_key or ("ema" if options.ema else ""))


def pairs(option: str, typed: list[str]) -> dict[str, Any]:
    """The values of an option that was typed as KEY=VALUE, any number of times.

    Raises:
        SettingsError: One is no such pair, or its value is no YAML.
    """
    from efficient360.core.parsing import parse_yaml

    values: dict[str, Any] = {}
    for pair in typed:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise SettingsError("bad-option", f"{option} {pair} is not KEY=VALUE", f"write it as {option} {_EXAMPLES[option]}")
        try:
            values[key] = parse_yaml(value)
        except ValueError as error:
            raise SettingsError("bad-option", f"the value in {option} {pair} is not YAML: {error}", "quote it, or write lists as [a, b]") from error
        if values[key] == PLACEHOLDER:
            hint = f"write the number that it was trained with, such as {option} {key}={_USUAL.get(key, 1)}; its training script or configuration says it"
            raise SettingsError("placeholder", f"{option} {pair} has no number: {PLACEHOLDER} only stands for one", hint)
    return values
