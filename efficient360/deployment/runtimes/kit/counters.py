"""What the machine's own counters say around a measurement: load, frequency, temperature. A counter that is not there is left out."""

import os
import resource
from pathlib import Path

POWERCAP = "/sys/class/powercap/*-rapl:[0-9]/energy_uj"
FREQUENCY = "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"
THROTTLES = "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"
CGROUPS = "/sys/fs/cgroup"
THROTTLED = {"throttled_time": 1e-9, "throttled_usec": 1e-6}  # control groups of version 1 and 2, with the unit of each
THERMAL = "/sys/class/thermal/thermal_zone*/temp"


def read() -> dict[str, float]:
    """Counters now.

    Returns:
        ``busy`` and ``steal``: CPU seconds of the whole machine since boot; ``own``: CPU seconds of this process; ``involuntary``: its involuntary context
        switches; ``pressure``: seconds in which some task waited for a CPU; ``frequency`` in Hz, mean over CPUs; ``throttles``: thermal throttling events;
        ``temperature`` in °C, the hottest zone; ``throttled``: seconds that a CPU quota held this process's
        control group back. Only what this machine has.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    values = {"own": usage.ru_utime + usage.ru_stime, "involuntary": float(usage.ru_nivcsw)}
    values.update(_stat())
    frequencies = _numbers(FREQUENCY)
    if frequencies:
        values["frequency"] = 1e3 * sum(frequencies) / len(frequencies)
    throttles = _numbers(THROTTLES)
    if throttles:
        values["throttles"] = sum(throttles)
    temperatures = _numbers(THERMAL)
    if temperatures:
        values["temperature"] = max(temperatures) / 1e3
    values.update(_throttled())
    return values


def energy(root: Path = Path("/")) -> "float | None":
    """Joules that the processor packages have drawn (RAPL), ``None`` where no counter can be read."""
    packages = _numbers(POWERCAP, root)
    return sum(packages) / 1e6 if packages else None


def energy_range(root: Path = Path("/")) -> "float | None":
    """Joules at which the counter of a package starts again from 0, the least of the packages'."""
    ranges = _numbers(POWERCAP.replace("energy_uj", "max_energy_range_uj"), root)
    return min(ranges) / 1e6 if ranges else None


def peak_memory() -> int:
    """Most resident bytes of this process so far."""
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if os.uname().sysname == "Darwin" else int(peak) * 1024


def _stat() -> dict[str, float]:
    values = {}
    for line in _lines("/proc/stat")[:1]:
        ticks = [int(v) for v in line.split()[1:]]
        per_second = os.sysconf("SC_CLK_TCK")
        values["busy"] = (sum(ticks[:8]) - ticks[3] - ticks[4]) / per_second
        values["steal"] = ticks[7] / per_second
    for line in _lines("/proc/pressure/cpu"):
        if line.startswith("some"):
            values["pressure"] = int(line.rpartition("total=")[2]) / 1e6
    return values


def _throttled() -> dict[str, float]:
    for group in _lines("/proc/self/cgroup"):
        _, controllers, path = group.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for line in _lines(f"{CGROUPS}/{controllers}/{path}/cpu.stat"):
            name, _, value = line.partition(" ")
            if name in THROTTLED:
                return {"throttled": int(value) * THROTTLED[name]}
    return {}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _numbers(pattern: str, root: Path = Path("/")) -> list[float]:
    numbers = []
    for path in root.glob(pattern[1:]):
        try:
            numbers.append(float(_lines(str(path))[0]))
        except (IndexError, ValueError):
            continue
    return numbers
