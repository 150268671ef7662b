"""``efficient360 init``: a job file for ``evaluate --config``, from what can be found out about checkpoints and data in seconds."""

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from efficient360.cli.checkpoint_options import PLACEHOLDER, checkpoint_spec, offered_pairs
from efficient360.cli.data_options import dataset_spec
from efficient360.core.paths import exists, is_folder
from efficient360.core.text import one_line
from efficient360.errors import CheckpointError, DatasetError, SettingsError

_HEAD: Final = """# Evaluate it:  efficient360 evaluate --config {name}
# Keys are the command's options, with _ for -; options typed beside --config win. Paths are relative to the folder the command runs in.
"""
_DATA: Final = ("data_dir: DIR", "split: test", "max_examples: 1000", "group_column: [sex]", "class_map: classes.csv")
_EVALUATION: Final = ("only: [accuracy, latency]", "set: {adversarial: {examples: 200}}", "device: cuda", "max_minutes: 30", "seed: 0", "batch_size: 64")
_RESULTS: Final = ("out: runs/this", "strict: true", "wandb: PROJECT")
_MODEL: Final = ("arch", "arch_arg", "output", "preprocess", "random_weights", "weights_key")
_OF_DATA: Final = ("dataset", "data_dir", "split", "image_column", "label_column", "group_column")


def init(options: argparse.Namespace) -> int:
    """Write the file.

    Args:
        options: The command's; ``options.parse`` makes options of a command line.

    Raises:
        SettingsError: The file is there already (``file-exists``), or can't be written.
        DatasetError: The data can't be found or read.
    """
    path: Path = options.out
    if exists(path) and not options.force:
        raise SettingsError("file-exists", f"{path} is there already", "replace it with --force, or name another file with --out")
    bare = not options.checkpoint and not options.dataset
    references = options.checkpoint or ["digits-vit"]
    dataset = options.dataset or ("digits" if bare else "")
    models, notes = zip(*(_model(reference, options) for reference in references), strict=True)
    text = "".join(_written(path.name, models, notes, *_data(dataset, options), options.protocol))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError("bad-option", f"{path} can't be written: {error.strerror}", "name a file in a folder of yours with --out") from error
    print(text)
    print(f"written to {path}; evaluate it with: efficient360 evaluate --config {shlex.quote(str(path))}")
    return 0


def _model(reference: str, options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """A model's entry, and what to say of it in a comment."""
    from efficient360.models.description import describe_checkpoint

    try:
        found = describe_checkpoint(checkpoint_spec(reference, options))
    except CheckpointError as error:
        return {"checkpoint": reference, **_given(options, _MODEL)}, one_line(f"{error.message} → {error.hint}")
    offered = options.parse(shlex.split(found.command)[1:])
    entry = {"checkpoint": reference, **_given(offered, _MODEL)}
    if found.problem:
        placeholder = "fill in N: " if PLACEHOLDER in entry.get("arch_arg", {}).values() else ""
        return entry, one_line(f"{placeholder}{found.guesses[0] if found.guesses else f'{found.problem} → {found.hint}'}")
    return entry, one_line(f"{found.architecture}, {found.classes} classes")


def _data(dataset: str, options: argparse.Namespace) -> tuple[Mapping[str, Any], str]:
    """The entry of the data, and what to say of them in a comment."""
    from efficient360.datasets.description import describe

    if not dataset:
        return {}, "without data only costs are measured: add dataset: NAME or a path"
    try:
        found = describe(dataset_spec(dataset, options))
    except DatasetError as error:
        if error.code == "unknown-dataset" or is_folder(Path(dataset)):
            raise
        return {"dataset": dataset, **_given(options, _OF_DATA)}, one_line(error.message)
    offered = options.parse(shlex.split(found.command)[1:])
    images = found.splits.get(found.split)
    told = f"{found.split}: {images} images, {found.classes} classes" if images else found.kind
    return _given(offered, _OF_DATA), one_line(told)


def _given(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Options that are not at their defaults, as a job file has them."""
    entry: dict[str, Any] = {}
    for name in names:
        value = getattr(options, name)
        if value in ("", None, False, []):
            continue
        if name in ("arch_arg", "preprocess"):
            entry[name] = offered_pairs(f"--{name.replace('_', '-')}", value)
        else:
            entry[name] = str(value) if isinstance(value, Path) else value
    return entry


def _written(name: str, models: Sequence[Mapping[str, Any]], notes: Sequence[str], data: Mapping[str, Any], about_data: str, protocol: str) -> Iterator[str]:
    yield _HEAD.format(name=name) + "models:\n"
    for model, note in zip(models, notes, strict=True):
        yield f"  # {note}\n"
        first, *rest = _lines(model)
        yield f"  - {first}\n" + "".join(f"    {line}\n" for line in rest)
    yield "data:\n" + (f"  # {about_data}\n" if about_data else "")
    yield "".join(f"  {line}\n" for line in _lines(data)) + _offered(_DATA, data)
    yield "evaluation:\n" + f"  {_lines({'protocol': protocol})[0]}  # quick, standard, full or a YAML file\n" + _offered(_EVALUATION, {})
    yield "results:\n" + _offered(_RESULTS, {})


def _offered(lines: Sequence[str], taken: Mapping[str, Any]) -> str:
    return "".join(f"  # {line}\n" for line in lines if line.partition(":")[0] not in taken)


def _lines(entry: Mapping[str, Any]) -> list[str]:
    """Each key with its value on a line of its own."""
    return [f"{key}: {_value(value)}" for key, value in entry.items()]


def _value(value: Any) -> str:
    dumped: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return dumped.removesuffix("\n").removesuffix("\n...")
