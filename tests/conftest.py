import json
import os
from pathlib import Path
from typing import Any

# Tests run side by side, one process a core: a pool of threads in each would have them fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from efficient360.datasets.spec import DatasetSpec
from efficient360.execution.plan import Plan, Step
from efficient360.models.checkpoint import CheckpointSpec

# A busy machine is no fault of a test's.
settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-machine")

ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 10}
CARD = {
    "architecture": "vit_tiny_patch16_224",
    "model_args": ARGUMENTS,
    "input_size": [3, 32, 32],
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "interpolation": "bicubic",
    "crop_pct": 1.0,
    "class_names": [str(i) for i in range(10)],
}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: while a test waits for a process that it started, another computes."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that the processes end together on short ones."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ViT for ten classes with seeded weights, saved with its sidecar as a user would have it."""
    import timm  # not at the top: the process that only hands tests out has no use for it
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("checkpoint")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("vit_tiny_patch16_224", **ARGUMENTS)
    save_file(model.state_dict(), folder / "tiny.safetensors")
    (folder / "tiny.json").write_text(json.dumps(CARD))
    return folder / "tiny.safetensors"


@pytest.fixture
def make_plan(tiny: Path, tmp_path: Path):
    """A plan over the tiny ViT and 60 digits."""

    def make(*evaluators: str, **changes: Any) -> Plan:
        fields: dict = {
            "checkpoint": CheckpointSpec(str(tiny)),
            "dataset": DatasetSpec("digits", max_examples=60),
            "protocol": "test",
            "steps": tuple(Step(name, {}) for name in evaluators),
            "out": tmp_path / "run",
            "batch_size": 16,
        }
        return Plan(**fields | changes)

    return make


@pytest.fixture
def plugin(tmp_path: Path):
    """Writes a plug-in file with one ExampleEvaluator called ``brightness`` and extra code."""

    def write(extra: str = "", score: str = "yield Scores(BRIGHTNESS, batch.images.mean((1, 2, 3)))", name: str = "brightness") -> Path:
        path = tmp_path / f"{name}_plugin.py"
        path.write_text(PLUGIN.format(extra=extra, score=score, name=name))
        return path

    return write


PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar, final
import os, signal, time
from efficient360.evaluator import ONE, Better, ExampleEvaluator, Metric, Need, Scores

BRIGHTNESS = Metric("{name}_mean", ONE, Better.NEITHER, "How bright the images are.", low=0, high=1)
{extra}

@final
@dataclass(frozen=True)
class Brightness(ExampleEvaluator):
    """How bright the images are."""

    name: ClassVar = "{name}"
    version: ClassVar = 1
    metrics: ClassVar = (BRIGHTNESS,)
    needs: ClassVar = frozenset({{Need.EXAMPLES}})
    scale: float = 1.0

    def score(self, model, batch):
        {score}
'''
