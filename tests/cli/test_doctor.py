import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from efficient360.cli import doctor
from efficient360.cli.doctor import State
from efficient360.cli.parser import run_command
from efficient360.deployment.devices import cgroups
from efficient360.deployment.runtimes.runtime import Build, Converted, Precision, Runtime
from efficient360.errors import DeviceError


class NoSuch(Runtime):
    name = "no_such"
    title = "No Such"
    extra = "nosuch"
    converts_with: ClassVar[tuple[str, ...]] = ("no_such_module",)
    precisions = (Precision.FP32,)

    def convert(self, build: Build) -> Converted:
        raise NotImplementedError


class HalfThere(NoSuch):
    name = "torch"
    title = "PyTorch"
    hint = "pip install it"
    converts_with = ("torch", "no_such_module")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "WATCH", 0.01)


def test_everything_is_looked_at(quick: None) -> None:
    found = list(doctor.checks())
    assert [check.area for check in found] == sorted((check.area for check in found), key=["runtimes", "devices", "measuring"].index)
    names = {check.name for check in found}
    assert {"C++ compiler", "limited: memory", "limited: CPU time", "ssh", "adb", "binaries for phones", "GPU", "energy", "CPU clock", "noise"} <= names
    assert all(check.advice for check in found if check.state is State.LACKING)


@pytest.mark.parametrize("command", ["doctor", "devices"])
def test_the_commands_import_no_torch(command: str) -> None:
    program = f"import sys; from efficient360.cli.parser import run_command; run_command([{command!r}]); sys.exit('torch' in sys.modules)"
    environment = {"PATH": "/nowhere", "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 80
    assert {"doctor": "measuring", "devices": "local"}[command] in done.stdout


def test_a_runtime_that_is_not_there() -> None:
    check = doctor._runtime(NoSuch())
    assert (check.state, check.result) == (State.LACKING, "not installed: no no_such_module")
    assert check.advice == "pip install 'efficient360[nosuch]'"


def test_a_runtime_that_runs_but_does_not_convert() -> None:
    check = doctor._runtime(HalfThere())
    assert check.state is State.LACKING
    assert check.result.endswith("but can't be converted for: no no_such_module")


def test_missing_programs_are_told_with_how_to_get_them(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = {check.name: check for check in doctor.checks()}
    for name, word in (("C++ compiler", "g++"), ("ssh", "openssh-client"), ("adb", "platform-tools")):
        assert found[name].state is State.LACKING
        assert word in found[name].advice


def test_groups_that_may_not_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refuse(limits: cgroups.Limits):
        raise DeviceError("no-cgroups", "memory can't be limited here", "run as root")
        yield

    monkeypatch.setattr(cgroups, "group", refuse)
    check = doctor._group("memory", cgroups.Limits(memory=2**30))
    assert (check.state, check.result, check.advice) == (State.LACKING, "memory can't be limited here", "run as root")


def test_energy_in_its_three_states(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "COUNTERS", tmp_path)
    monkeypatch.setattr("efficient360.deployment.runtimes.kit.counters.energy", lambda: None)
    assert "not measured" in doctor._energy().result
    (tmp_path / "intel-rapl:0").mkdir()
    (tmp_path / "intel-rapl:0" / "energy_uj").touch()
    assert (doctor._energy().state, "sudo chmod" in doctor._energy().advice) == (State.LACKING, True)
    monkeypatch.setattr("efficient360.deployment.runtimes.kit.counters.energy", lambda: 12.5)
    assert doctor._energy().state is State.GOOD


def test_the_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "GOVERNOR", tmp_path / "governor")
    assert "does not tell" in doctor._clock().result
    (tmp_path / "governor").write_text("powersave\n")
    assert "cpupower" in doctor._clock().advice
    (tmp_path / "governor").write_text("performance\n")
    assert doctor._clock().state is State.GOOD


@pytest.mark.parametrize(
    ("busy", "steal", "state", "said"),
    [(0.0, 0.0, State.GOOD, "0.00 of a core"), (1e6, 0.0, State.LACKING, "of a core"), (0.0, 1e6, State.LACKING, "the hypervisor takes")],
)
def test_noise(monkeypatch: pytest.MonkeyPatch, quick: None, busy: float, steal: float, state: State, said: str) -> None:
    readings = iter([{"busy": 0.0, "own": 0.0, "steal": 0.0}, {"busy": busy, "own": 0.0, "steal": steal}])
    monkeypatch.setattr("efficient360.deployment.runtimes.kit.counters.read", lambda: next(readings))
    check = doctor._noise()
    assert check.state is state
    assert said in check.result


def test_a_gpu_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor._gpu().state is State.NOTE
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA Thing, 24576 MiB'\n")
    tool.chmod(0o755)
    assert doctor._gpu().result == "NVIDIA Thing, 24576 MiB"
    tool.write_text("#!/bin/sh\necho 'driver mismatch'; exit 9\n")
    assert doctor._gpu().state is State.LACKING
    assert "driver mismatch" in doctor._gpu().result


def test_binaries_for_phones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EFFICIENT360_ADB_BINARIES", str(tmp_path))
    assert doctor._binaries().state is State.LACKING
    (tmp_path / "benchmark_model").touch()
    assert doctor._binaries().result.endswith(": benchmark_model")


def test_the_page_is_printed(capsys: pytest.CaptureFixture[str], quick: None) -> None:
    assert run_command(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line in ("runtimes", "devices", "measuring")] == ["runtimes", "devices", "measuring"]
    assert any(line.startswith(("✓", "✗")) and "ONNX Runtime" in line for line in lines)
