"""The whole picture of a vision transformer: one command from a checkpoint to an honest 360° report."""

import importlib  # nothing else: this runs before __main__ takes the current folder off the import path

_PUBLIC = {
    "CheckpointSpec": "efficient360.models.checkpoint",
    "CheckResult": "efficient360.reports.gate.run_check",
    "Comparison": "efficient360.reports.comparing.verdicts",
    "DatasetSpec": "efficient360.datasets.spec",
    "Dimension": "efficient360.dimensions.dimension",
    "Efficient360Error": "efficient360.errors",
    "Evaluator": "efficient360.evaluator",
    "ExampleEvaluator": "efficient360.evaluator",
    "Failure": "efficient360.core.measurement",
    "Finding": "efficient360.core.findings",
    "Measurement": "efficient360.core.measurement",
    "Metric": "efficient360.core.measurement",
    "Plan": "efficient360.execution.plan",
    "Preprocessing": "efficient360.models.checkpoint",
    "Report": "efficient360.reports.report",
    "RunComparison": "efficient360.reports.run_comparison",
    "RunReport": "efficient360.reports.run_report",
    "Step": "efficient360.execution.plan",
    "TokenLayout": "efficient360.models.view.layout",
    "ViTView": "efficient360.models.view.protocol",
    "check": "efficient360.reports.gate.run_check",
    "compare": "efficient360.api",
    "evaluate": "efficient360.api",
    "load_report": "efficient360.api",
    "optimize": "efficient360.optimization",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> object:
    # Taken from its module on first use: importing the package must not import torch.
    if name == "__version__":
        from importlib import metadata

        return metadata.version("efficient360")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'efficient360' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
