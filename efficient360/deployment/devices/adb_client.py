"""The adb client: which phone is meant, commands on it, files to it, its errors in plain words, and what a phone says of itself."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final
from urllib.parse import parse_qsl

from efficient360.deployment.devices.device import DeviceDescription
from efficient360.deployment.runtimes.kit.machine import ISAS
from efficient360.errors import DeviceError, SettingsError

FORM = "adb://[serial][?binaries=FOLDER&folder=/data/local/tmp]"
BINARIES = "EFFICIENT360_ADB_BINARIES"
PATIENCE = 60.0
_EXIT = "efficient360-exit:"


@final
@dataclass(frozen=True)
class AdbAddress:
    """A phone as typed.

    Args:
        text: The whole of it.
        serial: As ``adb devices`` lists it; ``""`` takes the only one there.
        binaries: Folder of benchmark binaries on this machine, ``""`` for none.
        folder: Where the temporary folder is made there: one from which programs may be started.
    """

    text: str
    serial: str = ""
    binaries: str = ""
    folder: str = "/data/local/tmp"


def read(text: str) -> AdbAddress:
    """The address of a text as ``adb://emulator-5554``; the binaries' folder may also come from the environment.

    Raises:
        SettingsError: ``bad-adb-address``.
    """
    match = re.fullmatch(r"adb://(?P<serial>[^/?\s]*)/?(?:\?(?P<query>.*))?", text)
    options = dict(parse_qsl(match["query"] or "", keep_blank_values=True)) if match else {}
    unknown = set(options) - {"binaries", "folder"}
    if match is None or unknown or not all(options.values()):
        what = f"has no option {sorted(unknown)[0]!r}" if unknown else "is no ADB address"
        raise SettingsError("bad-adb-address", f"{text!r} {what}", f"write {FORM}")
    serial = match["serial"] or os.environ.get("ANDROID_SERIAL", "")
    return AdbAddress(text, serial, **{"binaries": os.environ.get(BINARIES, ""), **options})


@final
@dataclass(frozen=True)
class ShellResult:
    """What a command on the phone came to.

    Args:
        code: Its exit code.
        output: What it printed, on both streams.
    """

    code: int
    output: str


@final
@dataclass(frozen=True)
class Phone:
    """One phone, ready for commands.

    Args:
        serial: As ``adb devices`` lists it.
    """

    serial: str

    def shell(self, command: str, timeout: float = PATIENCE) -> ShellResult:
        """Run a shell command there.

        Raises:
            DeviceError: The phone is gone.
            subprocess.TimeoutExpired: It took too long; it may still run there.
        """
        # Old phones hand back no exit code, so it is printed.
        done = _adb(["-s", self.serial, "shell", f"{{ {command}\n}} 2>&1; echo {_EXIT}$?"], timeout)
        output, mark, code = done.stdout.replace("\r\n", "\n").rpartition(_EXIT)
        if not mark:
            raise DeviceError("adb-lost", f"{self.serial} went away: {_last(done.stderr + done.stdout)}", "connect it again and measure again")
        return ShellResult(int(code), output)

    def text(self, command: str) -> str:
        """What a shell command there prints, ``""`` when it fails."""
        done = self.shell(command)
        return done.output.strip() if done.code == 0 else ""

    def push(self, path: Path, target: str) -> None:
        """Bring a file or folder there.

        Raises:
            DeviceError: It could not be brought.
        """
        done = _adb(["-s", self.serial, "push", str(path), target], None)
        if done.returncode:
            message = f"{path.name} could not be copied to {self.serial}: {_last(done.stderr + done.stdout)}"
            raise DeviceError("copy-failed", message, "check the room left on it")


def states() -> Mapping[str, str]:
    """Serials of the phones that adb knows, with the state of each (``device`` when it is ready).

    Raises:
        DeviceError: There is no adb client, or it does not answer.
    """
    if shutil.which("adb") is None:
        raise DeviceError("no-adb-client", "there is no adb client on this machine", "install it: apt install adb, or Android's platform-tools")
    try:
        done = _adb(["devices"], PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise DeviceError("adb-failed", "adb does not answer", "try by hand: adb kill-server, then adb devices") from error
    if done.returncode:
        raise DeviceError("adb-failed", f"adb fails: {_last(done.stderr + done.stdout)}", "try by hand: adb devices")
    lines = (line.split(None, 1) for line in done.stdout.splitlines() if not line.startswith(("*", "List of devices")))
    return {words[0]: words[1].strip() for words in lines if len(words) == 2}


def phone(address: AdbAddress) -> Phone:
    """The phone of an address.

    Raises:
        DeviceError: None is there, several are and none is named, or the one that is meant is not ready.
    """
    known = states()
    if not address.serial and len(known) > 1:
        raise DeviceError("which-adb-device", f"adb knows several phones: {', '.join(known)}", f"name one: adb://{next(iter(known))}")
    if not known:
        raise DeviceError("no-adb-device", "adb knows no phone", "switch on USB debugging in its developer options, plug it in, and check with: adb devices")
    serial = address.serial or next(iter(known))
    if serial not in known:
        raise DeviceError("unknown-adb-device", f"adb knows no phone {serial!r}", f"it knows {', '.join(known)}")
    for state, code, what, hint in _NOT_READY:
        if known[serial].startswith(state):
            raise DeviceError(code, f"{serial} {what}", hint)
    if known[serial] != "device":
        raise DeviceError("adb-not-ready", f"{serial} is not ready: adb calls it {known[serial]!r}", "let it start fully and unlock it")
    return Phone(serial)


_NOT_READY = (
    ("unauthorized", "adb-unauthorized", "has not allowed this computer yet", "unlock it and accept the question that it shows, then try again"),
    ("offline", "adb-offline", "is offline", "plug it out and in, or for a network address: adb disconnect, then adb connect"),
    ("no permissions", "adb-no-permission", "may not be used by this user", "add a udev rule for its maker, or join the group plugdev, then plug it in again"),
)


def _adb(arguments: list[str], timeout: float | None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["adb", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False, timeout=timeout)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def quoted(*words: str) -> str:
    """Words as a shell there reads them."""
    return shlex.join(words)


PROPERTIES = (
    "ro.product.manufacturer",
    "ro.product.model",
    "ro.build.version.release",
    "ro.product.cpu.abi",
    "ro.soc.manufacturer",
    "ro.soc.model",
    "ro.board.platform",
    "ro.kernel.qemu",
    "ro.boot.qemu",
)
CLOCKS = 'for c in /sys/devices/system/cpu/cpu[0-9]*; do echo "${c##*cpu} $(cat $c/cpufreq/cpuinfo_max_freq 2>/dev/null || echo 0)"; done'


def phone_facts(phone: Phone, name: str, runtimes: Mapping[str, str]) -> DeviceDescription:
    """The phone's CPU, memory and system.

    Args:
        phone: The phone.
        name: As the user typed it.
        runtimes: Those that a binary was brought for, with its version.
    """
    lines = phone.shell("; ".join(f'echo "{key}=$(getprop {key})"' for key in PROPERTIES)).output.splitlines()
    properties = {key: value.strip() for key, _, value in (line.partition("=") for line in lines)}
    cpuinfo, meminfo = phone.text("cat /proc/cpuinfo"), phone.text("cat /proc/meminfo")
    memory = re.search(r"MemTotal:\s+(\d+) kB", meminfo)
    # An emulator runs on the host's own CPU: its times say nothing of a phone.
    emulator = "1" in (properties.get("ro.kernel.qemu"), properties.get("ro.boot.qemu"))
    model = " ".join(properties.get(key, "") for key in PROPERTIES[:2]).strip()
    return DeviceDescription(
        name=name,
        cpu=_cpu(properties, cpuinfo) + (f" ({model})" if model else ""),
        architecture=properties.get("ro.product.cpu.abi", "") or "unknown",
        os=f"Android {properties.get('ro.build.version.release', '')}".strip(),
        cores=len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or 1,
        memory=int(memory[1]) * 1024 if memory else 0,
        isa=_isa(cpuinfo),
        runtimes=runtimes,
        emulated="an Android emulator on this machine's CPU" if emulator else "",
    )


def _cpu(properties: Mapping[str, str], cpuinfo: str) -> str:
    chip = f"{properties.get('ro.soc.manufacturer', '')} {properties.get('ro.soc.model', '')}".strip()
    named = re.search(r"^(?:Hardware|model name)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return chip or (named[1].strip() if named else properties.get("ro.board.platform", "") or "unknown CPU")


def _isa(cpuinfo: str) -> Sequence[str]:
    features = re.search(r"^(?:Features|flags)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    has = set(features[1].split()) if features else set()
    return [name for name in ISAS if name in has]


def fastest_cpus(phone: Phone, count: int) -> Sequence[int]:
    """Numbers of the fastest CPUs by their highest clock; empty where the clocks are not told or a pin is not to be had."""
    if not phone.text("command -v taskset"):
        return []
    pairs = [line.split() for line in phone.text(CLOCKS).splitlines()]
    clocks = {int(cpu): int(clock) for cpu, clock in pairs if cpu.isdigit() and clock.isdigit()}
    if len(clocks) < count or not any(clocks.values()):
        return []
    return sorted(sorted(clocks, key=lambda cpu: (-clocks[cpu], cpu))[:count])


@final
@dataclass(frozen=True)
class Battery:
    """The state of the battery.

    Args:
        level: Percent.
        temperature: Degrees Celsius.
        powered: Whether it is being charged.
    """

    level: int
    temperature: float
    powered: bool


def battery(phone: Phone) -> Battery | None:
    """The battery, ``None`` where the phone does not tell."""
    text = phone.text("dumpsys battery")
    level, tenths = (re.search(rf"^\s*{key}: (-?\d+)", text, re.MULTILINE) for key in ("level", "temperature"))
    if level is None or tenths is None:
        return None
    return Battery(int(level[1]), int(tenths[1]) / 10, re.search(r"powered: true", text) is not None)
