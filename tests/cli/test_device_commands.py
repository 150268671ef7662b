import pytest

from efficient360.cli import devices as device_commands
from efficient360.cli.parser import run_command
from efficient360.deployment.devices.device import DeviceDescription
from efficient360.deployment.runtimes.kit.machine import describe


@pytest.fixture(autouse=True)
def no_phones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("efficient360.deployment.devices.adb_client.states", dict)
    monkeypatch.setenv("COLUMNS", "80")


def test_this_machine_and_profiles_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["devices"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    here = describe()
    assert said.startswith(f"local {here['cpu']}")
    assert f"{here['cores']} core" in said
    assert f"torch {here['runtimes']['torch']}" in said
    if here["cores"] >= 2:
        assert "limited:2core-4gb" in said


def test_an_address_that_can_not_be_reached_spoils_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_commands, "EXAMPLES", ())
    assert run_command(["devices", "limited:99999core", "toaster"]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("local")
    assert "limited:99999core asks for 99999 cores" in said
    assert "'toaster' names no device" in said
    assert "→ write one of the forms" in said


def test_runtimes_are_told_once_for_profiles() -> None:
    here = DeviceDescription("local", "A CPU", "x86_64", "Linux", 4, 8 * 2**30, ["avx2"], {"torch": "2.14"})
    limited = DeviceDescription("limited:1core", "A CPU", "x86_64", "Linux", 1, 8 * 2**30, ["avx2"], {"torch": "2.14"}, "emulated on A CPU: 1 of 4 cores")
    phone = DeviceDescription("adb://X", "A chip", "arm64-v8a", "Android 15", 1, 0, [], {})
    told = [[str(line) for line in device_commands._described(one, here).renderables] for one in (limited, phone)]
    assert told[0] == ["emulated on A CPU: 1 of 4 cores", "runtimes as on local"]
    assert told[1] == ["A chip", "1 core, memory unknown, Android 15, arm64-v8a", "no runtime found"]
