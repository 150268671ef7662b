from pathlib import Path

import pytest

from efficient360.deployment.runtimes.kit import counters
from efficient360.deployment.runtimes.kit.energy import EnergyMeter, PowerSensor, battery


def package(root: Path, number: int, joules: float, limit: float) -> None:
    folder = root / f"sys/class/powercap/intel-rapl:{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    (folder / "max_energy_range_uj").write_text(f"{round(limit * 1e6)}\n")


def rail(root: Path, number: int, label: str, millivolts: int, milliamperes: int) -> None:
    folder = root / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((f"in{number}_label", label), (f"in{number}_input", millivolts), (f"curr{number}_input", milliamperes)):
        (folder / name).write_text(f"{text}\n")


def cell(root: Path, name: str, **values: str) -> None:
    folder = root / "sys/class/power_supply" / name
    folder.mkdir(parents=True, exist_ok=True)
    for key, value in values.items():
        (folder / key).write_text(value + "\n")


def test_packages_are_added_up(tmp_path: Path) -> None:
    package(tmp_path, 0, 12.5, 262143.0)
    package(tmp_path, 1, 7.25, 65532.0)
    assert counters.energy(tmp_path) == 19.75
    meter = EnergyMeter(tmp_path)
    assert meter.source == "rapl"
    assert meter.read() == {"energy": 19.75, "energy_range": 65532.0}


def test_parts_of_a_package_are_not_counted_twice(tmp_path: Path) -> None:
    package(tmp_path, 0, 10.0, 100.0)
    part = tmp_path / "sys/class/powercap/intel-rapl:0:0"
    part.mkdir()
    (part / "energy_uj").write_text("4000000\n")
    assert EnergyMeter(tmp_path).read()["energy"] == 10.0


def test_nothing_is_made_up(tmp_path: Path) -> None:
    meter = EnergyMeter(tmp_path)
    assert meter.source == ""
    assert meter.read() == {}
    assert counters.energy_range(tmp_path) is None


def test_a_jetson_is_read_at_its_input(tmp_path: Path) -> None:
    rail(tmp_path, 1, "VDD_IN", 5000, 2000)
    rail(tmp_path, 2, "VDD_CPU_GPU_CV", 5000, 700)
    assert PowerSensor(tmp_path).watts() == 10.0
    assert EnergyMeter(tmp_path).source == "ina3221"


def test_a_jetson_without_an_input_rail_adds_its_rails(tmp_path: Path) -> None:
    rail(tmp_path, 1, "VDD_GPU_SOC", 20000, 100)
    rail(tmp_path, 2, "VDD_CPU_CV", 20000, 50)
    assert PowerSensor(tmp_path).watts() == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("values", "joules"),
    [({"energy_now": "50000000"}, 180000.0), ({"charge_now": "5000000", "voltage_now": "12000000"}, 216000.0), ({"voltage_now": "12000000"}, None)],
)
def test_a_battery_in_microwatt_hours_or_microampere_hours(tmp_path: Path, values: dict[str, str], joules: float | None) -> None:
    cell(tmp_path, "BAT0", status="Discharging", **values)
    assert battery(tmp_path) == (None if joules is None else pytest.approx(joules))


def test_what_a_battery_gave_counts_upwards(tmp_path: Path) -> None:
    cell(tmp_path, "BAT0", status="Discharging", energy_now="50000000")
    meter = EnergyMeter(tmp_path)
    before = meter.read()["energy"]
    cell(tmp_path, "BAT0", energy_now="49999000")
    assert meter.source == "battery"
    assert meter.read()["energy"] - before == pytest.approx(3.6)
    cell(tmp_path, "BAT0", status="Charging")
    assert meter.read() == {}


def test_the_processor_is_preferred_to_the_battery(tmp_path: Path) -> None:
    cell(tmp_path, "BAT0", status="Discharging", energy_now="50000000")
    package(tmp_path, 0, 1.0, 100.0)
    assert EnergyMeter(tmp_path).source == "rapl"
