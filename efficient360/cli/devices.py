"""The commands ``devices`` and ``doctor``."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from efficient360.cli.doctor import Check, State, checks
from efficient360.cli.output import Result
from efficient360.core.terminal import console
from efficient360.deployment.devices import adb_client
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.device import DeviceDescription
from efficient360.deployment.devices.profile import size
from efficient360.errors import DeviceError, Efficient360Error, SettingsError

EXAMPLES = ("limited:1core-2gb", "limited:2core-4gb", "limited:1core-1gb-quota50")
MARKS = {State.GOOD: ("✓", "green"), State.LACKING: ("✗", "red"), State.NOTE: ("·", "dim")}
UNREACHED = 2


def devices(options: argparse.Namespace) -> int:
    """Print what is reachable: this machine, profiles of it, phones, and the addresses given.

    Returns:
        0, or 2 when an address that was given can't be used.
    """
    given = [(address, _known(address)) for address in options.address]
    named = {address.partition("?")[0] for address in options.address}
    rows = [*((address, description) for address, description in _found() if address not in named), *given]
    console().print(_listing(rows))
    return UNREACHED if any(isinstance(description, Efficient360Error) for _, description in given) else 0


def _found() -> Iterator[tuple[str, DeviceDescription | Efficient360Error]]:
    yield "local", _known("local")
    for address in EXAMPLES:
        description = _known(address)
        if not isinstance(description, SettingsError):  # an example that is larger than this machine is none
            yield address, description
    try:
        phones = adb_client.states()
    except DeviceError:  # without a client there are no phones; the doctor tells about clients
        return
    yield from ((f"adb://{serial}", _known(f"adb://{serial}")) for serial in phones)


def _known(address: str) -> DeviceDescription | Efficient360Error:
    try:
        return device_from_address(address).describe()
    except Efficient360Error as error:
        return error


def _listing(rows: Sequence[tuple[str, DeviceDescription | Efficient360Error]]) -> Table:
    table = Table(box=None, padding=(0, 2, 1, 0), show_header=False)
    table.add_column(style="bold", overflow="fold", max_width=30)
    table.add_column(overflow="fold")
    here: DeviceDescription | None = None
    for address, description in rows:
        if isinstance(description, Efficient360Error):
            table.add_row(_short(address), Group(Text(description.message, "red"), Text(f"→ {description.hint}")))
            continue
        table.add_row(_short(address), _described(description, here))
        here = here or description
    return table


def _short(address: str) -> Text:
    """An address without its options, which are paths for the most part."""
    return Text(address.partition("?")[0])


def _described(device: DeviceDescription, here: DeviceDescription | None) -> RenderableType:
    """Two lines of a device; runtimes that are this machine's own are not told twice."""
    cores = f"{device.cores} core{'s' if device.cores != 1 else ''}"
    memory = size(device.memory) if device.memory else "memory unknown"
    first = device.emulated or ", ".join([device.cpu, *device.isa])
    second = f"{cores}, {memory}, {device.os}, {device.architecture}"
    same = here is not None and device.emulated and device.runtimes == here.runtimes
    versions = ", ".join(f"{name} {version}" for name, version in device.runtimes.items())
    third = "runtimes as on local" if same else versions or "no runtime found"
    return Group(Text(first), *([] if same else [Text(second)]), Text(third, "dim"))


def doctor(options: argparse.Namespace) -> int:
    """Print what is missing here and how to get it."""
    found = tuple(checks())
    options.console.result(Result(lambda: _by_area(found), lambda: _in_brief(found), lambda: {"checks": [asdict(check) for check in found]}))
    return 0


def _by_area(found: Sequence[Check]) -> RenderableType:
    blocks: list[RenderableType] = []
    for area in dict.fromkeys(check.area for check in found):
        blocks += [Text(f"\n{area}", "bold"), *(_line(check) for check in found if check.area == area)]
    return Group(*blocks)


def _in_brief(found: Sequence[Check]) -> RenderableType:
    """How many there are of each state, then what is lacking."""
    number = {state: sum(check.state is state for check in found) for state in State}
    lacking = [_line(check) for check in found if check.state is State.LACKING]
    return Group(Text(f"{number[State.GOOD]} good, {number[State.LACKING]} lacking, {number[State.NOTE]} to know", "bold"), *lacking)


def _line(check: Check) -> Table:
    mark, style = MARKS[check.state]
    line = Table.grid(padding=(0, 1))
    line.add_column(width=1)
    line.add_column(width=20, no_wrap=True)
    line.add_column(overflow="fold")
    advice = [Text(f"→ {check.advice}")] if check.advice else []
    line.add_row(Text(mark, style), Text(check.name), Group(Text(check.result), *advice))
    return line
