"""The real adb client against a small adbd on loopback, with an adb server of the test's own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from efficient360.cli import devices as device_commands
from efficient360.cli.parser import run_command
from efficient360.core.measurement import Failure, Status
from efficient360.deployment.devices import adb_client
from efficient360.deployment.devices.adb import Adb
from efficient360.deployment.devices.benchmark_binary import BenchmarkModel
from efficient360.deployment.devices.catalogue import device_from_address
from efficient360.deployment.devices.device import DeviceReading, Job, Schedule
from efficient360.deployment.devices.timing import analyse
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision, files_digest
from efficient360.errors import DeviceError, SettingsError

HERE = Path(__file__).parent
PROPERTIES = {
    "ro.product.manufacturer": "Acme",
    "ro.product.model": "Phone 3",
    "ro.build.version.release": "15",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.soc.manufacturer": "Acme",
    "ro.soc.model": "AC9000",
}
GETPROP = """#!/bin/sh
case "$1" in
{cases}
esac
"""
DUMPSYS = """#!/bin/sh
cat <<'END'
Current Battery Service state:
  AC powered: false
  USB powered: true
  level: 83
  scale: 100
  temperature: 301
END
"""
# Prints what LiteRT's tool prints. The times come from a file, so that the test knows them; the model decides how it ends.
TOOL = """#!{python}
import os, signal, sys, time
from pathlib import Path
given = dict(a.lstrip("-").split("=", 1) for a in sys.argv[1:])
model = Path(given["graph"]).read_text()
here = Path(__file__).resolve().parent
with open({log!r}, "a") as log:
    log.write(repr((sorted(given.items()), sorted(os.sched_getaffinity(0)))) + "\\n")
if model == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if model == "eaten":
    os.kill(os.getpid(), signal.SIGKILL)
if model == "hang":
    time.sleep(600)
if model == "broken":
    print("ERROR: Failed to load model"); sys.exit(1)
if model == "strange":
    print("hello"); sys.exit(0)
calls = len(Path({log!r}).read_text().splitlines())
first, last = 10000 + 100 * calls, 10050 + 100 * calls
print(f"INFO: STARTING!\\nINFO: Log parameter values verbosely: [0]\\nINFO: Graph: [{{given['graph']}}]")
print("INFO: Initialized session in 5.579ms.")
print("INFO: Running benchmark for at least 3 iterations and at least 0 seconds but terminate if exceeding 150 seconds.")
print("INFO: count=3 first=13576 curr=13000 min=12900 max=13576 avg=13158.7 std=290 p5=12900 median=13000 p95=13576\\n")
print("INFO: Running benchmark for at least 2 iterations and at least 0 seconds but terminate if exceeding 150 seconds.")
print(f"INFO: count=2 first={{first}} curr={{last}} min={{first}} max={{last}} avg={{(first + last) / 2:g}} std=25\\n")
print(f"INFO: Inference timings in us: Init: 5579, First inference: 13576, Warmup (avg): 13158.7, Inference (avg): {{(first + last) / 2:g}}")
print("INFO: Memory footprint delta from the start of the tool (MB): init=6.36328 overall=109.832")
if given.get("report_peak_memory_footprint") == "true":
    print("INFO: Overall peak memory footprint (MB) via periodic monitoring: 112.5")
"""
REAL_OUTPUT = """INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=1357602 p5=1357602 median=1357602 p95=1357602

INFO: Running benchmark for at least 2 iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=2 first=1249964 curr=1240143 min=1240143 max=1249964 avg=1.24505e+06 std=4910 p5=1240143 median=1240143 p95=1249964

INFO: Inference timings in us: Init: 5579, First inference: 1357602, Warmup (avg): 1.3576e+06, Inference (avg): 1.24505e+06
INFO: Memory footprint delta from the start of the tool (MB): init=6.36328 overall=109.832
"""


@dataclass(frozen=True)
class World:
    """A phone's folder, the binaries' folder here, and the serial under which adb knows the phone."""

    phone: Path
    binaries: Path
    serial: str

    def address(self, serial: str | None = None) -> str:
        return f"adb://{self.serial if serial is None else serial}?binaries={self.binaries}&folder={self.phone}/tmp"

    def calls(self) -> list[str]:
        log = self.phone / "log"
        return log.read_text().splitlines() if log.exists() else []


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """An adb server on a port of its own, so that a user's is left alone."""
    if shutil.which("adb") is None:
        pytest.skip("no adb client here (apt install adb)")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    before = os.environ.get("ANDROID_ADB_SERVER_PORT")
    os.environ["ANDROID_ADB_SERVER_PORT"] = str(port)
    yield
    subprocess.run(["adb", "kill-server"], capture_output=True, check=False)
    if before is None:
        del os.environ["ANDROID_ADB_SERVER_PORT"]
    else:
        os.environ["ANDROID_ADB_SERVER_PORT"] = before


@pytest.fixture
def plug(server: None, tmp_path: Path) -> Iterator[Callable[[], World]]:
    """Plugs in phones; they are gone afterwards."""
    processes: list[Any] = []
    serials: list[str] = []

    def one() -> World:
        phone = tmp_path / f"phone{len(processes)}"
        binaries = tmp_path / "binaries"
        for folder in (phone / "bin", phone / "tmp", binaries):
            folder.mkdir(parents=True, exist_ok=True)
        _script(phone / "bin" / "getprop", GETPROP.format(cases="\n".join(f'{key}) echo "{value}" ;;' for key, value in PROPERTIES.items())))
        _script(phone / "bin" / "dumpsys", DUMPSYS)
        _script(binaries / "benchmark_model", TOOL.format(python=sys.executable, log=str(phone / "log")))
        process = subprocess.Popen([sys.executable, str(HERE / "small_adbd.py"), str(phone)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        serial = f"127.0.0.1:{process.stdout.readline().strip()}"
        processes.append(process)
        serials.append(serial)
        subprocess.run(["adb", "connect", serial], capture_output=True, check=True)
        until = time.monotonic() + 20
        while adb_client.states().get(serial) != "device" and time.monotonic() < until:
            time.sleep(0.05)
        return World(phone, binaries, serial)

    yield one
    for serial, process in zip(serials, processes, strict=True):
        subprocess.run(["adb", "disconnect", serial], capture_output=True, check=False)
        process.kill()
        process.wait()


@pytest.fixture
def world(plug: Callable[[], World]) -> World:
    return plug()


@pytest.fixture
def litert(tmp_path: Path) -> Callable[..., Job]:
    """Jobs of LiteRT whose model file says how the tool ends."""

    def make(model: str = "good", threads: int = 1) -> Job:
        folder = tmp_path / model
        folder.mkdir(exist_ok=True)
        (folder / "model.tflite").write_text(model)
        digest, size = files_digest(folder)
        return Job(Artefact("litert", Precision.FP32, 1, (3, 8, 8), folder, digest, size, {}, 0.1, Converted({"model": "model.tflite"})), threads)

    return make


SCHEDULE = Schedule(runs=8, seconds=0.1, blocks=2, timeout=60.0)


def read(address: str, jobs: list[Job], schedule: Schedule = SCHEDULE) -> list[DeviceReading | Failure]:
    return [outcome for _, outcome in device_from_address(address).measure(jobs, Path("unused"), schedule, lambda done, total: None)]


def test_a_phone_is_described(world: World) -> None:
    facts = device_from_address(world.address()).describe()
    assert facts.cpu == "Acme AC9000 (Acme Phone 3)"
    assert (facts.os, facts.architecture, facts.emulated) == ("Android 15", "arm64-v8a", "")
    assert facts.cores == os.cpu_count()
    assert facts.memory == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert facts.runtimes["litert"].startswith("benchmark_model ")


def test_phones_are_listed(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(device_commands, "EXAMPLES", ())
    assert run_command(["devices"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"adb://{world.serial} Acme AC9000 (Acme Phone 3)" in said
    assert "Android 15, arm64-v8a no runtime found" in said


def test_the_tools_single_runs_are_read(world: World, litert: Callable[..., Job]) -> None:
    (reading,) = read(world.address(), [litert()])
    assert isinstance(reading, DeviceReading)
    # The first call was for memory; the next four yield two runs each, in two blocks.
    assert [list(block.wall) for block in reading.blocks] == [[0.0102, 0.01025, 0.0103, 0.01035], [0.0104, 0.01045, 0.0105, 0.01055]]
    assert reading.memory == round(112.5 * 2**20)
    assert reading.logits is None
    assert (reading.cold[0].load, reading.cold[0].first) == (0.005579, 0.013576)
    assert reading.threads == 1
    assert reading.facts["battery_before"] == {"level": 83, "temperature": 30.1, "powered": True}
    assert reading.facts["calls"] == 4
    assert "as the tool prints them" in reading.facts["samples"]
    assert reading.facts["last_words"][0].startswith("count=3 first=13576")
    json.dumps(reading.facts)
    timing = analyse(reading)
    assert timing.p50 == pytest.approx(np.median([0.0102, 0.01025, 0.0103, 0.01035, 0.0104, 0.01045, 0.0105, 0.01055]))
    assert {finding.code for finding in timing.findings} >= {"no-cpu-times", "few-runs"}


def test_the_tool_is_called_as_asked(world: World, litert: Callable[..., Job]) -> None:
    read(world.address(), [litert(threads=2)])
    memory, timed = world.calls()[:2]
    assert "('report_peak_memory_footprint', 'true')" in memory
    for option in ("('num_threads', '2')", "('num_runs', '2')", "('min_secs', '0')", "('warmup_runs', '3')", "('warmup_min_secs', '0.3')"):
        assert option in timed
    assert "report_peak_memory_footprint" not in timed


def test_nothing_is_left_on_the_phone(world: World, litert: Callable[..., Job]) -> None:
    read(world.address(), [litert("good"), litert("crash")])
    assert list((world.phone / "tmp").iterdir()) == []


@pytest.mark.slow
def test_a_tool_that_ends_badly_takes_nothing_with_it(world: World, litert: Callable[..., Job]) -> None:
    jobs = [litert(model) for model in ("crash", "eaten", "broken", "strange", "good")]
    *bad, good = read(world.address(), jobs)
    assert isinstance(good, DeviceReading)
    assert [(outcome.status, outcome.code) for outcome in bad if isinstance(outcome, Failure)] == [
        (Status.FAILED, "worker-crashed"),
        (Status.FAILED, "worker-killed"),
        (Status.FAILED, "runtime-error"),
        (Status.FAILED, "runtime-error"),
    ]
    messages = [outcome.message for outcome in bad if isinstance(outcome, Failure)]
    assert "signal 11" in messages[0]
    assert "with code 1: ERROR: Failed to load model" in messages[2]
    assert "printed what can't be read (no timings): hello" in messages[3]


@pytest.mark.slow
def test_a_tool_that_hangs_is_ended(world: World, litert: Callable[..., Job]) -> None:
    (hung,) = read(world.address(), [litert("hang")], Schedule(runs=2, blocks=1, timeout=2.0))
    assert isinstance(hung, Failure)
    assert (hung.code, hung.message) == ("worker-hung", "benchmark_model gave no answer for 2 s and was ended")
    assert list((world.phone / "tmp").iterdir()) == []


def test_the_fastest_cores_are_taken_where_clocks_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(world.phone / "bin" / "taskset", '#!/bin/sh\nshift\nexec "$@"\n')
    clocks = "0 1800000\n1 1800000\n2 2400000\n3 2800000\n10 2400000"
    monkeypatch.setattr(adb_client, "CLOCKS", f"printf '{clocks}\\n'".replace("\n", "\\n"))
    phone = adb_client.phone(adb_client.read(world.address()))
    assert adb_client.fastest_cpus(phone, 1) == [3]
    assert adb_client.fastest_cpus(phone, 3) == [2, 3, 10]
    assert adb_client.fastest_cpus(phone, 9) == []


def test_a_binary_that_was_not_brought(world: World, litert: Callable[..., Job], little: Callable[..., Job]) -> None:
    (world.binaries / "benchmark_model").unlink()
    missing, other = read(world.address(), [litert(), little()])
    assert isinstance(missing, Failure)
    assert (missing.status, missing.code) == (Status.UNSUPPORTED, "no-benchmark-binary")
    assert missing.message == "LiteRT needs its benchmark_model for the phone, which was not brought"
    assert "EFFICIENT360_ADB_BINARIES" in missing.hint
    assert isinstance(other, Failure)
    assert other.message.startswith("Little can't be run over ADB")


def _refused(address: str) -> DeviceError:
    with pytest.raises(DeviceError) as error:
        device_from_address(address).describe()
    assert error.value.hint
    return error.value


def test_no_phone(server: None) -> None:
    assert _refused("adb://").code == "no-adb-device"


def test_the_only_phone_needs_no_name(world: World) -> None:
    assert device_from_address(world.address(serial="")).describe().os == "Android 15"


def test_several_phones_and_none_named(plug: Callable[[], World]) -> None:
    first, second = plug(), plug()
    error = _refused("adb://")
    assert error.code == "which-adb-device"
    assert first.serial in error.message
    assert second.serial in error.message


def test_a_phone_that_adb_does_not_know(world: World) -> None:
    error = _refused("adb://R58M12345")
    assert (error.code, error.message) == ("unknown-adb-device", "adb knows no phone 'R58M12345'")


def test_no_such_folder_of_binaries(world: World) -> None:
    assert _refused(f"adb://{world.serial}?binaries=/no/such/folder").code == "no-binaries"


def test_a_folder_that_can_not_be_made(world: World, litert: Callable[..., Job]) -> None:
    with pytest.raises(DeviceError) as error:
        read(f"adb://{world.serial}?folder=/no/such/folder", [litert()])
    assert error.value.code == "no-folder"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("unauthorized", "adb-unauthorized"),
        ("offline", "adb-offline"),
        ("no permissions (user in plugdev group)", "adb-no-permission"),
        ("recovery", "adb-not-ready"),
    ],
)
def test_a_phone_that_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, code: str) -> None:
    """A client that says what adb says of such phones."""
    _script(tmp_path / "adb", f"#!/bin/sh\nprintf 'List of devices attached\\nR58M12345\\t{state}\\n\\n'\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    error = _refused("adb://R58M12345")
    assert error.code == code
    assert "R58M12345" in error.message


def test_a_phone_that_goes_away(world: World) -> None:
    phone = adb_client.phone(adb_client.read(world.address()))
    subprocess.run(["adb", "disconnect", world.serial], capture_output=True, check=True)
    with pytest.raises(DeviceError) as error:
        phone.shell("true")
    assert error.value.code == "adb-lost"


def test_no_client_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert _refused("adb://").code == "no-adb-client"


def test_operators_are_not_read(litert: Callable[..., Job]) -> None:
    found = Adb(adb_client.AdbAddress("adb://")).operators(litert().artefact, Path("unused"), 1, 1.0)
    assert isinstance(found, Failure)
    assert found.code == "no-profiler"


def test_real_output_is_read() -> None:
    said = BenchmarkModel().read(REAL_OUTPUT)
    assert list(said.runs) == [1.249964, 1.240143]
    assert (said.load, said.first, said.memory) == (0.005579, 1.357602, None)


def test_statistics_are_not_taken_for_runs() -> None:
    with pytest.raises(ValueError, match="50 runs where two"):
        BenchmarkModel().read(REAL_OUTPUT.replace("count=2", "count=50"))


def test_an_emulator_is_called_one(world: World) -> None:
    _script(world.phone / "bin" / "getprop", '#!/bin/sh\n[ "$1" = ro.boot.qemu ] && echo 1\nexit 0\n')
    assert "emulator" in device_from_address(world.address()).describe().emulated


def test_the_binaries_folder_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(adb_client.BINARIES, "/some/where")
    monkeypatch.setenv("ANDROID_SERIAL", "R58M12345")
    assert adb_client.read("adb://") == adb_client.AdbAddress("adb://", "R58M12345", "/some/where")
    assert adb_client.read("adb://X?binaries=/else").binaries == "/else"


@pytest.mark.parametrize("text", ["adb:", "adb:X", "adb://X?port=3", "adb://X?binaries="])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(SettingsError) as error:
        device_from_address(text)
    assert error.value.code == "bad-adb-address"
