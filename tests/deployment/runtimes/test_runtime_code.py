"""The code that converts for a runtime and times it: its own, and nobody else's."""

from pathlib import Path

import pytest

from efficient360.deployment.devices.local import Local
from efficient360.deployment.devices.ssh import Ssh
from efficient360.deployment.runtimes import catalogue
from efficient360.deployment.runtimes.runtime_code import ROOM, conversion_code, timing_code


@pytest.mark.parametrize("runtime", catalogue.names())
def test_a_runtime_has_its_own_converter_and_session(runtime: str) -> None:
    converts, times = conversion_code(runtime).modules, timing_code(runtime, Local).modules
    assert f"{ROOM}.converters.{runtime}" in converts
    assert {f"{ROOM}.kit.sessions.{runtime}", f"{ROOM}.kit.worker"} <= set(times)


def test_other_runtimes_are_not_part_of_it() -> None:
    assert [m for m in conversion_code("tvm").modules if ".converters." in m] == [f"{ROOM}.converters.tvm"]
    assert [m for m in timing_code("tvm", Local).modules if ".sessions." in m] == [f"{ROOM}.kit.sessions.tvm"]
    assert len({conversion_code(runtime).digest for runtime in catalogue.names()}) == len(catalogue.names())


def test_another_device_is_other_code() -> None:
    assert timing_code("torch", Local).digest != timing_code("torch", Ssh).digest


def test_a_runtime_of_ones_own_counts_by_its_code(tmp_path: Path) -> None:
    text = (Path(catalogue.__file__).parent / "converters" / "torch.py").read_text(encoding="utf-8")
    file = tmp_path / "mine.py"
    digests = []
    for version in (text, text + "\n# a comment\n", text + "\nEXTRA = 1\n"):
        file.write_text(version)
        digests.append(conversion_code(str(file)).digest)
    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
