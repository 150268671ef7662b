"""A command line that says what was probably meant where a command, a choice or an option does not exist."""

import argparse
from collections.abc import Mapping
from typing import Any, final

from efficient360.errors import SettingsError


@final
class Parser(argparse.ArgumentParser):
    """As ``argparse``'s own; commands and choices that look like a misspelt one are offered."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        from efficient360.core.close_names import did_you_mean

        known = [str(choice) for choice in action.choices]
        what = action.metavar.lower() if isinstance(action, argparse._SubParsersAction) and isinstance(action.metavar, str) else "choice"
        raise argparse.ArgumentError(action if what == "choice" else None, f"there is no {what} {value!r}\n  → {did_you_mean(str(value), known)}")

    def error(self, message: str) -> Any:
        """Print what is wrong, and end with exit code 2."""
        command = self.prog.partition(" ")[2]
        about = "" if "→" in message else f"\n  → usage and options: {self.prog} --help"
        self.exit(2, f"efficient360{f' {command}' if command else ''}: {message}{about}\n")


def unknown_argument(top: argparse.ArgumentParser, options: argparse.Namespace, argument: str) -> SettingsError:
    """The error of an argument that nobody takes."""
    from efficient360.core.close_names import close_names

    command = command_parser(top, options)
    name = argument.partition("=")[0]
    if not name.startswith("-"):
        return SettingsError("bad-option", f"{command.prog} has no place for {argument!r}", f"what it takes: {command.prog} --help")
    near = close_names(name, [option for action in command._actions for option in action.option_strings])
    elsewhere = [prog for prog, other in all_parsers(top).items() if name in other._option_string_actions]
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif elsewhere:
        hint = f"{name} is an option of {', '.join(elsewhere[:4])}"
    else:
        hint = f"its options: {command.prog} --help"
    return SettingsError("bad-option", f"{command.prog} has no option {name}", hint)


def command_parser(top: argparse.ArgumentParser, options: argparse.Namespace) -> argparse.ArgumentParser:
    """The parser of the command that was chosen."""
    names = [getattr(options, key, None) for key in ("command", "action")]
    prog = " ".join([top.prog, *(name for name in names if name)])
    return all_parsers(top).get(prog, top)


def all_parsers(top: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Every parser of a command line, by what is typed to reach it."""
    found = {top.prog: top}
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for parser in action.choices.values():
                found |= all_parsers(parser)
    return found
