"""Shell completion by argcomplete: commands, options, and the names that they take. No evaluator and no torch is imported for it."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import argcomplete
from argcomplete.completers import FilesCompleter
from argcomplete.shell_integration import shellcode

from efficient360.cli.argument_parser import all_parsers

Names = Callable[[], Iterable[str]]


def script(shell: str) -> str:
    """What a shell's start-up file runs for completion.

    Args:
        shell: ``bash``, ``zsh`` or ``fish``.
    """
    code: str = shellcode(["efficient360"], shell=shell)
    return code.strip()


def complete(top: argparse.ArgumentParser) -> None:
    """Answer the shell and end the process, where the shell asks; else do nothing."""
    for parser in all_parsers(top).values():
        for action in parser._actions:
            if (completer := completer_of(action)) is not None:
                action.completer = completer  # type: ignore[attr-defined]  # where argcomplete looks
    argcomplete.autocomplete(top, default_completer=FilesCompleter())


def completer_of(action: argparse.Action) -> Any:
    """What completes an argument by names; ``None`` where its choices or files do."""
    name = action.option_strings[-1] if action.option_strings else action.dest
    if name in _LISTS:
        return _ListOf(_LISTS[name])
    if name in _NAMES:
        return _NamesOrFiles(_NAMES[name])
    return _Shown() if name == "name" else None


class _ListOf:
    """Names with commas between them."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def __call__(self, prefix: str, **_: Any) -> list[str]:
        before, comma, _last = prefix.rpartition(",")
        given = before.split(",")
        return [f"{before}{comma}{name}" for name in self._names() if name not in given]


class _NamesOrFiles:
    """Names, and files."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def __call__(self, prefix: str, **kwargs: Any) -> list[str]:
        return [*(name for name in self._names() if name.startswith(prefix)), *FilesCompleter()(prefix, **kwargs)]


class _Shown:
    """The names of what ``show`` was asked for."""

    def __call__(self, prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        return list(_SHOWN.get(str(parsed_args.what), lambda: ())())


def _evaluators() -> Iterable[str]:
    from efficient360.plugins.registry import evaluators

    return evaluators()


def _dimensions() -> Iterable[str]:
    from efficient360.plugins.registry import dimensions

    return [dimension.name for dimension in dimensions()]


def _protocols() -> Iterable[str]:
    from efficient360.execution.plan import protocol_names

    return protocol_names()


def _datasets() -> Iterable[str]:
    from efficient360.datasets.card import card_names

    return card_names()


def _checkpoints() -> Iterable[str]:
    from efficient360.cli.listing import entries

    return entries("checkpoint")


def _runtimes() -> Iterable[str]:
    from efficient360.deployment.runtimes.catalogue import names

    return names()


_LISTS: Final[Mapping[str, Names]] = {"--only": _evaluators, "--runtimes": _runtimes}
_NAMES: Final[Mapping[str, Names]] = {
    "checkpoint": _checkpoints,
    "--dataset": _datasets,
    "--protocol": _protocols,
    "--as": _runtimes,
    "--set": lambda: [f"{name}." for name in _evaluators()],
}
_SHOWN: Final[Mapping[str, Names]] = {
    "evaluator": _evaluators,
    "dimension": _dimensions,
    "dataset": _datasets,
    "protocol": _protocols,
    "checkpoint": _checkpoints,
}
