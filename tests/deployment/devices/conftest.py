"""An artefact of a little runtime of our own: what a device does is tested without any library."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from efficient360.deployment.devices.device import Job, Schedule
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision, files_digest

PLUGIN = '''
from pathlib import Path
from typing import ClassVar
from efficient360.deployment.runtimes.runtime import Converted, Precision, Runtime

class Little(Runtime):
    """Sums of channels."""

    name: ClassVar = "little"
    title: ClassVar = "Little"
    extra: ClassVar = ""
    converts_with: ClassVar = ()
    precisions: ClassVar = (Precision.FP32,)
    session: ClassVar = Path(__file__).with_name("little_session.py")

    def convert(self, build):
        return Converted({})

RUNTIME = Little()
'''
SESSION = """
import os
import signal

import numpy as np

MODULES = ()

def version():
    return "1.0"

def load(folder, settings):
    kept = []

    def run(images):
        if settings.get("eats"):
            kept.append(np.ones(settings["eats"] // 8))
        if settings.get("dies"):
            os.kill(os.getpid(), getattr(signal, settings["dies"]))
        if settings.get("raises"):
            raise ValueError(settings["raises"])
        return images.sum((2, 3))

    return run

def operators(folder, settings, images):
    return [{"name": "cpus", "kind": str(sorted(os.sched_getaffinity(0))), "seconds": 0.001, "place": "cpu"}]
"""


@pytest.fixture
def little(tmp_path: Path) -> Callable[..., Job]:
    """Makes jobs of the little runtime: ``eats=bytes`` per call, ``dies=SIGNAL``, ``raises=text``."""
    plugin, session = tmp_path / "little.py", tmp_path / "little_session.py"
    plugin.write_text(PLUGIN)
    session.write_text(SESSION)

    def make(name: str = "artefact", threads: int = 0, **settings: str | int) -> Job:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "model.bin").write_text(name)
        digest, size = files_digest(folder)
        return Job(Artefact(str(plugin), Precision.FP32, 2, (3, 8, 8), folder, digest, size, {}, 0.1, Converted(settings)), threads)

    return make


@pytest.fixture
def probes(tmp_path: Path) -> Path:
    """Five random images of 8 px."""
    path = tmp_path / "probes.npy"
    np.save(path, np.random.default_rng(0).random((5, 3, 8, 8), np.float32))
    return path


@pytest.fixture
def short() -> Schedule:
    """As little timing as there can be."""
    return Schedule(runs=4, seconds=0.02, blocks=2, warm_runs=3, warm_seconds=0.0, repeats=0, timeout=60.0)
