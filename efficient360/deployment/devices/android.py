"""What an Android phone tells of itself."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from efficient360.deployment.devices.adb_client import Phone
from efficient360.deployment.devices.device import Facts
from efficient360.deployment.runtimes.kit.machine import ISAS

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
FASTEST = 'for c in /sys/devices/system/cpu/cpu[0-9]*; do echo "${c##*cpu} $(cat $c/cpufreq/cpuinfo_max_freq 2>/dev/null || echo 0)"; done'


def facts(phone: Phone, name: str, runtimes: Mapping[str, str]) -> Facts:
    """The phone's CPU, memory and system.

    Args:
        phone: The phone.
        name: As the user typed it.
        runtimes: Those that a binary was brought for, with its version.
    """
    lines = phone.shell("; ".join(f'echo "{key}=$(getprop {key})"' for key in PROPERTIES)).said.splitlines()
    told = {key: value.strip() for key, _, value in (line.partition("=") for line in lines)}
    cpuinfo, meminfo = phone.text("cat /proc/cpuinfo"), phone.text("cat /proc/meminfo")
    memory = re.search(r"MemTotal:\s+(\d+) kB", meminfo)
    # An emulator runs on the host's own CPU: its times say nothing of a phone.
    emulator = "1" in (told.get("ro.kernel.qemu"), told.get("ro.boot.qemu"))
    model = " ".join(told.get(key, "") for key in PROPERTIES[:2]).strip()
    return Facts(
        name=name,
        cpu=_cpu(told, cpuinfo) + (f" ({model})" if model else ""),
        architecture=told.get("ro.product.cpu.abi", "") or "unknown",
        os=f"Android {told.get('ro.build.version.release', '')}".strip(),
        cores=len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or 1,
        memory=int(memory[1]) * 1024 if memory else 0,
        isa=_isa(cpuinfo),
        runtimes=runtimes,
        emulated="an Android emulator on this machine's CPU" if emulator else "",
    )


def _cpu(told: Mapping[str, str], cpuinfo: str) -> str:
    chip = f"{told.get('ro.soc.manufacturer', '')} {told.get('ro.soc.model', '')}".strip()
    named = re.search(r"^(?:Hardware|model name)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return chip or (named[1].strip() if named else told.get("ro.board.platform", "") or "unknown CPU")


def _isa(cpuinfo: str) -> Sequence[str]:
    features = re.search(r"^(?:Features|flags)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    has = set(features[1].split()) if features else set()
    return [name for name in ISAS if name in has]


def fastest(phone: Phone, count: int) -> Sequence[int]:
    """Numbers of the fastest CPUs by their highest clock; empty where the clocks are not told or a pin is not to be had."""
    if not phone.text("command -v taskset"):
        return []
    pairs = [line.split() for line in phone.text(FASTEST).splitlines()]
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
    said = phone.text("dumpsys battery")
    level, tenths = (re.search(rf"^\s*{key}: (-?\d+)", said, re.MULTILINE) for key in ("level", "temperature"))
    if level is None or tenths is None:
        return None
    return Battery(int(level[1]), int(tenths[1]) / 10, re.search(r"powered: true", said) is not None)
