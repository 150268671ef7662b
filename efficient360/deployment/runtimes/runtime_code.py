"""Digests of the code that converts for a runtime and that times it, so that a change retires what is stored of this runtime alone."""

from pathlib import Path
from typing import Final

from efficient360.core.code_digest import Code, Module, code_of, module
from efficient360.deployment.runtimes import catalogue

ROOM: Final = "efficient360.deployment.runtimes"
SESSIONS: Final = f"{ROOM}.kit.sessions"
KIT: Final = f"{ROOM}.kit"
_LOOKED_UP: Final = {
    catalogue.CONVERTERS: (),
    SESSIONS: (),
    KIT: tuple(f"{KIT}.{name}" for name in ("worker", "supervisor", "machine", "counters", "energy")),
}
"""Of packages whose modules are looked up by name, what every runtime takes; its own converter and session are named beside it."""


def conversion_code(runtime: str) -> Code:
    """What makes an artefact: the exporter, the converting process, and this runtime's converter.

    Args:
        runtime: Name of a runtime, or a plug-in's file.

    Raises:
        SettingsError: No such runtime.
    """
    return code_of([module(f"{ROOM}.building"), module(f"{ROOM}.build_process"), *_converter(runtime)], _LOOKED_UP)


def preparation_code() -> Code:
    """What makes a program ready for quantization, whatever the runtime."""
    return code_of([module(f"{ROOM}.quantization.prepared")])


def timing_code(runtime: str, device: type) -> Code:
    """What runs an artefact and takes its time: the worker, this runtime's session, the device, and what makes numbers of raw times.

    Args:
        runtime: As for :func:`conversion_code`.
        device: Class of the device.
    """
    places = [module(name) for name in (f"{KIT}.worker", f"{KIT}.supervisor", "efficient360.deployment.devices.timing", f"{ROOM}.parity", device.__module__)]
    return code_of([*places, *_session(runtime)], _LOOKED_UP)


def _converter(runtime: str) -> list[Module]:
    return [Module(Path(runtime).stem, Path(runtime))] if runtime.endswith(".py") else [module(f"{catalogue.CONVERTERS}.{runtime}")]


def _session(runtime: str) -> list[Module]:
    own = catalogue.runtime(runtime).session
    return [Module(own.stem, own)] if own is not None else [module(f"{SESSIONS}.{runtime}")]
