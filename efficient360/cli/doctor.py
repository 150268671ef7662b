"""What this machine lacks for a measurement, and how to get it. Nothing heavy is imported: a module counts as there when it can be found."""

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import final

from efficient360.deployment.devices import cgroups
from efficient360.deployment.devices.adb_client import BINARIES
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.kit import counters
from efficient360.deployment.runtimes.kit.machine import PACKAGES
from efficient360.deployment.runtimes.runtime import Runtime
from efficient360.errors import DeviceError

COUNTERS = Path("/sys/class/powercap")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
COMPILERS = ("c++", "g++", "clang++")
WATCH = 1.0


class State(StrEnum):
    """How a matter stands."""

    GOOD = "good"
    LACKING = "lacking"
    NOTE = "note"


@final
@dataclass(frozen=True)
class Check:
    """One matter.

    Args:
        area: What it belongs to.
        name: What was looked at.
        state: How it stands.
        result: What was found, in words.
        advice: What to do; ``""`` when there is nothing to do.
    """

    area: str
    name: str
    state: State
    result: str
    advice: str = ""


def checks() -> Iterator[Check]:
    """Everything, in the order in which to read it."""
    yield from (_runtime(catalogue.runtime(name)) for name in catalogue.names())
    yield _compiler()
    yield _group("memory", cgroups.Limits(memory=2**30))
    yield _group("CPU time", cgroups.Limits(quota=100))
    yield _client("ssh", "hosts over SSH", "apt install openssh-client, or your system's package")
    yield _client("adb", "phones over ADB", "apt install adb, or Android's platform-tools")
    yield _binaries()
    yield _gpu()
    yield _energy()
    yield _clock()
    yield _noise()


def _runtime(runtime: Runtime) -> Check:
    missing = catalogue.missing(runtime)
    if reason := runtime.unavailable():
        return Check("runtimes", runtime.title, State.NOTE, reason)
    module, distribution = PACKAGES.get(runtime.name, (runtime.name, runtime.name))
    runs = importlib.util.find_spec(module) is not None
    if not missing and runs:
        return Check("runtimes", runtime.title, State.GOOD, f"converts and runs, {_version(distribution)}")
    absent = ", ".join(missing or [module])
    what = f"runs ({_version(distribution)}), but can't be converted for: no {absent}" if runs else f"not installed: no {absent}"
    return Check("runtimes", runtime.title, State.LACKING, what, catalogue.how_to_get(runtime))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "version unknown"


def _compiler() -> Check:
    compiler = next((name for name in COMPILERS if shutil.which(name)), None)
    if compiler is not None:
        return Check("runtimes", "C++ compiler", State.GOOD, f"{shutil.which(compiler)}")
    return Check("runtimes", "C++ compiler", State.LACKING, "none, which torch.compile and TVM need", "apt install g++, or your system's package")


def _group(what: str, limits: cgroups.Limits) -> Check:
    try:
        with cgroups.group(limits):
            return Check("devices", f"limited: {what}", State.GOOD, "control groups can be made")
    except DeviceError as error:
        return Check("devices", f"limited: {what}", State.LACKING, error.message, error.hint)


def _client(name: str, for_what: str, advice: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check("devices", name, State.LACKING, f"no client, which {for_what} need", advice)
    return Check("devices", name, State.GOOD, path)


def _binaries() -> Check:
    folder = os.environ.get(BINARIES, "")
    if folder:
        binaries = sorted(path.name for path in Path(folder).glob("*")) if Path(folder).is_dir() else []
        return Check("devices", "binaries for phones", State.GOOD if binaries else State.LACKING, f"{folder}: {', '.join(binaries) or 'nothing there'}")
    return Check("devices", "binaries for phones", State.NOTE, "none named", f"for ADB, put benchmark_model into a folder and name it in {BINARIES}")


def _gpu() -> Check:
    if shutil.which("nvidia-smi") is None:
        return Check("devices", "GPU", State.NOTE, "no NVIDIA driver here: everything runs on the CPU")
    asked = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return Check("devices", "GPU", State.LACKING, "nvidia-smi does not answer", "reload the driver, or restart the machine")
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not names:
        return Check("devices", "GPU", State.LACKING, f"nvidia-smi fails: {(done.stdout + done.stderr).strip()[:120]}", "mend the driver")
    return Check("devices", "GPU", State.GOOD, "; ".join(names))


def _energy() -> Check:
    if counters.energy() is not None:
        return Check("measuring", "energy", State.GOOD, "the processor's counters (RAPL) can be read")
    if any(COUNTERS.glob("*rapl*/energy_uj")):
        advice = f"until the next start: sudo chmod a+r {COUNTERS}/*/energy_uj"
        return Check("measuring", "energy", State.LACKING, "there are counters (RAPL), which this user may not read", advice)
    return Check("measuring", "energy", State.NOTE, "no counter here: energy is told as not measured")


def _clock() -> Check:
    if not GOVERNOR.is_file():
        return Check("measuring", "CPU clock", State.NOTE, "the system does not tell how it is governed")
    governor = GOVERNOR.read_text(encoding="ascii").strip()
    if governor == "performance":
        return Check("measuring", "CPU clock", State.GOOD, "held high (governor performance)")
    return Check("measuring", "CPU clock", State.NOTE, f"it varies (governor {governor})", "for steadier times: sudo cpupower frequency-set -g performance")


def _noise() -> Check:
    """What disturbs this machine right now, watched for a second in which we sleep."""
    before, began = counters.read(), time.monotonic()
    time.sleep(WATCH)
    after, seconds = counters.read(), time.monotonic() - began
    if "busy" not in before:
        return Check("measuring", "noise", State.NOTE, "the system does not tell its load")
    load = max(0.0, (after["busy"] - before["busy"] - after["own"] + before["own"]) / seconds)
    stolen = (after["steal"] - before["steal"]) / seconds
    load_text = f"other processes use {load:.2f} of a core, the hypervisor takes {100 * stolen:.1f} % of one"
    if load > 0.10:
        return Check("measuring", "noise", State.LACKING, load_text, "stop other work while you measure")
    if stolen > 0.01:
        return Check("measuring", "noise", State.LACKING, load_text, "take a machine of your own, or measure longer")
    return Check("measuring", "noise", State.GOOD, load_text)
