"""Energy from the machine's own counters. Nothing is estimated: where there is no counter there is no number.

Sources: ``rapl`` (the processor packages), ``nvml`` (all NVIDIA GPUs; wants ``nvidia-ml-py``), ``ina3221`` (a Jetson's power sensor, sampled ten times a second
and summed up), ``battery`` (the whole machine, coarse, only while it discharges). The first two are added up where both are there; the others stand in.
"""

import importlib.util
import threading
import time
from pathlib import Path
from typing import Any

from . import counters

INPUTS = ("VDD_IN", "POM_5V_IN")
"""Labels of a Jetson's rail that feeds all others; where there is none, its rails are added up."""
PERIOD = 0.1


class EnergyMeter:
    """Joules since some start.

    Args:
        root: Root of the file system, another one in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._gpus = _gpus() if root == Path("/") else []
        self._sensor = PowerSensor(root)
        has = {"rapl": counters.energy(root) is not None, "nvml": bool(self._gpus)}
        names = [name for name, readable in has.items() if readable]
        if not names and self._sensor.watts() is not None:
            names = ["ina3221"]
            self._sensor.start()
        if not names and battery(root) is not None:
            names = ["battery"]
        self.source = "+".join(names)
        """What tells the energy (``rapl+nvml``); ``""`` where nothing does."""

    def read(self) -> "dict[str, float]":
        """``energy`` in J, and ``energy_range`` in J where it starts again from 0; empty without a counter."""
        joules = 0.0
        values = {}
        for name in self.source.split("+"):
            value = {"rapl": lambda: counters.energy(self._root), "nvml": self._drawn, "ina3221": self._sensor.joules, "battery": self._used}.get(name)
            drawn = value() if value else None
            if drawn is None:
                return {}
            joules += drawn
        values["energy"] = joules
        limit = counters.energy_range(self._root)
        if "rapl" in self.source and limit is not None:
            values["energy_range"] = limit
        return values

    def _drawn(self) -> float:
        import pynvml

        return sum(float(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)) for gpu in self._gpus) / 1e3

    def _used(self) -> "float | None":
        left = battery(self._root)
        return None if left is None else -left


class PowerSensor:
    """A Jetson's INA3221: it tells power now, which a thread sums up over time."""

    def __init__(self, root: Path) -> None:
        rails = {}
        for label in sorted(root.glob("sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*/in*_label")):
            number = label.name[len("in") : -len("_label")]
            if (label.parent / f"curr{number}_input").exists():
                rails[label.read_text(encoding="utf-8").strip()] = (label.parent / f"in{number}_input", label.parent / f"curr{number}_input")
        whole = [rails[name] for name in INPUTS if name in rails]
        self._rails = whole[:1] or list(rails.values())
        self._joules = 0.0

    def watts(self) -> "float | None":
        """Power now, ``None`` where there is no such sensor."""
        try:
            return sum(float(volts.read_text()) * float(amperes.read_text()) for volts, amperes in self._rails) / 1e6 if self._rails else None
        except (OSError, ValueError):
            return None

    def joules(self) -> float:
        """Energy since :meth:`start`."""
        return self._joules

    def start(self) -> None:
        """Begin to sum up, until the process ends."""
        threading.Thread(target=self._sum, daemon=True).start()

    def _sum(self) -> None:
        before = time.monotonic()
        while True:
            time.sleep(PERIOD)
            now = time.monotonic()
            self._joules += (self.watts() or 0.0) * (now - before)
            before = now


def battery(root: Path) -> "float | None":
    """Joules left in the batteries that discharge, ``None`` where none does."""
    left = []
    for folder in sorted(root.glob("sys/class/power_supply/BAT*")):
        if _text(folder / "status") != "Discharging":
            continue
        energy, charge, volts = (_text(folder / name) for name in ("energy_now", "charge_now", "voltage_now"))
        if energy:
            left.append(float(energy) * 3600e-6)
        elif charge and volts:
            left.append(float(charge) * float(volts) * 3600e-12)
    return sum(left) if left else None


def _gpus() -> "list[Any]":
    if importlib.util.find_spec("pynvml") is None:
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
        gpus = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        for gpu in gpus:
            pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)
    except pynvml.NVMLError:  # no driver, or GPUs older than the counter
        return []
    return gpus


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
