"""The whole picture of a vision transformer: one command from a checkpoint to an honest 360° report."""

import importlib
from typing import Any

_PUBLIC = {
    "CheckpointSpec": "efficient360.models.checkpoint",
    "DatasetSpec": "efficient360.datasets.spec",
    "Dimension": "efficient360.dimensions.dimension",
    "Efficient360Error": "efficient360.errors",
    "Evaluator": "efficient360.evaluator",
    "ExampleEvaluator": "efficient360.evaluator",
    "Failure": "efficient360.core.measurement",
    "Measurement": "efficient360.core.measurement",
    "Metric": "efficient360.core.measurement",
    "Plan": "efficient360.execution.plan",
    "Report": "efficient360.reports.report",
    "Step": "efficient360.execution.plan",
    "evaluate": "efficient360.api",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    # Taken from its module on first use: importing the package must not import torch.
    if name not in _PUBLIC:
        raise AttributeError(f"module 'efficient360' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
