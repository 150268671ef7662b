"""The options that say which checkpoint, and the specification that they make."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, Final

from efficient360.errors import SettingsError

PLACEHOLDER: Final = "N"
"""What stands for a number in the commands that are offered."""
_USUAL: Final = {"num_heads": 6, "img_size": 224, "num_classes": 10, "depth": 12}
_EXAMPLES: Final = {"--arch-arg": "img_size=32", "--preprocess": "input_size=32"}


def add_checkpoint_options(command: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Give a command the options of a checkpoint besides its reference; their group."""
    what = command.add_argument_group("checkpoint")
    what.add_argument(
        "--arch",
        default="",
        metavar="NAME",
        help="architecture of a file with weights only: a timm name, torchvision:NAME, transformers:CLASS, open-clip:NAME, "
        "or path/to/file.py:NAME, a function or class of your own (it is run)",
    )
    what.add_argument("--arch-arg", action="append", default=[], metavar="KEY=VALUE", help="argument of the architecture (repeatable)")
    what.add_argument("--output", default="", metavar="NAME|INDEX", help="which of several outputs are the logits, such as heads.fine or 1")
    what.add_argument(
        "--preprocess",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="input_size=32, mean=[…], std=[…], interpolation, crop_pct or crop_mode (repeatable)",
    )
    what.add_argument("--random-weights", action="store_true", help="random weights; only costs are measured")
    what.add_argument(
        "--weights-key", default="", metavar="KEY", help="which weights, where the file holds several: a key, a prefix of names, part of either, or ema"
    )
    what.add_argument("--ema", action="store_true", help="deprecated: --weights-key ema")
    what.add_argument("--seed", type=seed_option, default=0, metavar="N", help="seed of all randomness (default: 0)")
    return what


def seed_option(text: str) -> int:
    """A seed as typed."""
    from efficient360.core.settings import LARGEST_SEED

    if not text.isascii() or not text.isdecimal() or len(text) > 10 or int(text) > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"give a whole number from 0 to {LARGEST_SEED}")
    return int(text)


def checkpoint_spec(reference: str, options: argparse.Namespace) -> Any:
    """A checkpoint with what the options say of it."""
    from efficient360.models.checkpoint import CheckpointSpec

    return CheckpointSpec(
        reference,
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


def pairs(option: str, typed: Sequence[str]) -> dict[str, Any]:
    """The values of an option that was typed as KEY=VALUE, any number of times.

    Raises:
        SettingsError: One is no such pair, its value is no YAML (``bad-option``), or it has a placeholder for one (``placeholder``).
    """
    values = offered_pairs(option, typed)
    for key, value in values.items():
        if value == PLACEHOLDER:
            hint = f"write the number that it was trained with, such as {option} {key}={_USUAL.get(key, 1)}; its training script or configuration says it"
            raise SettingsError("placeholder", f"{option} {key}={value} has no number: {PLACEHOLDER} only stands for one", hint)
    return values


def offered_pairs(option: str, typed: Sequence[str]) -> dict[str, Any]:
    """As :func:`pairs`, of a command that is offered: placeholders stand in it."""
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
    return values
