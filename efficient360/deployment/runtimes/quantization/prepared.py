"""A program made ready for quantization before any runtime sees it: outliers migrated, the layers chosen that stay in float, weights put on their grid."""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from efficient360.core.measurement import Scalar
from efficient360.deployment.runtimes.program import load_program, network
from efficient360.deployment.runtimes.quantization.error_feedback import round_program
from efficient360.deployment.runtimes.quantization.float_layers import sensitivity
from efficient360.deployment.runtimes.quantization.layers import value_of
from efficient360.deployment.runtimes.quantization.scale_migration import STRENGTH, migrate
from efficient360.deployment.runtimes.runtime import Build, Precision

IMAGES: Final = 32
"""Calibration images that layers are compared on and weights are rounded by; the migration sees all."""
BITS: Final = 4
PROGRAM, RECORD = "program.pt2", "prepared.json"


@final
@dataclass(frozen=True)
class Prepared:
    """What was done to a program.

    Args:
        values: New values of parameters by name.
        float_layers: Layers that stay in float besides those that were asked for.
        facts: What a reader should know: plain JSON.
    """

    values: Mapping[str, Tensor]
    float_layers: tuple[str, ...]
    facts: Mapping[str, Scalar]


def prepare(build: Build, folder: Path) -> tuple[Build, Mapping[str, Scalar]]:
    """The build that a runtime is asked for, and what was done to its program.

    Args:
        build: What was asked for.
        folder: Of the prepared program, shared by the runtimes.

    Returns:
        The build with the prepared program; what is in ``folder`` is taken as it is.
    """
    record = folder / RECORD
    if not record.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = _migrated(build) if build.precision is Precision.INT8_SMOOTH else _rounded(build)
        _write(build.program, made, folder)
    data = json.loads(record.read_text(encoding="utf-8"))
    float_layers = tuple(sorted({*build.float_layers, *data["float_layers"]}))
    return dataclasses.replace(build, program=folder / PROGRAM, shared=folder, float_layers=float_layers), data["facts"]


def _migrated(build: Build) -> Prepared:
    module = network(build.program)
    calls = list(build.calibration_calls())
    migration = migrate(module, calls)
    for name, value in migration.values.items():
        value_of(module, name).data.copy_(value)
    found = sensitivity(module, _few(calls, build.batch), build.float_layers)
    facts: dict[str, Scalar] = {
        "migration": f"{migration.norms} normalisations into {migration.layers} linear layers, strength {STRENGTH:g}",
        "left_in_float": ", ".join(found.left) or "no layer",
        "simulated_difference": round(found.differences[-1], 4),
        "simulated_difference_all_int8": round(found.differences[0], 4),
    }
    return Prepared(migration.values, found.left, facts)


def _rounded(build: Build) -> Prepared:
    module = network(build.program)
    rounded = round_program(module, _few(list(build.calibration_calls()), build.batch), BITS, build.float_layers)
    facts: dict[str, Scalar] = {"rounding": f"error feedback on {len(rounded)} linear layers, {IMAGES} images"}
    return Prepared({name: weight.values for name, weight in rounded.items()}, (), facts)


def _few(calls: list[NDArray[np.float32]], batch: int) -> list[NDArray[np.float32]]:
    return calls[: max(1, IMAGES // batch)]


def _write(source: Path, made: Prepared, folder: Path) -> None:
    program = load_program(source)
    for name, value in made.values.items():
        program.state_dict[name].data.copy_(value)
    part = folder / f"{os.getpid()}.part.pt2"
    torch.export.save(program, part)
    part.replace(folder / PROGRAM)
    part = folder / f"{os.getpid()}.part.json"
    part.write_text(json.dumps({"float_layers": list(made.float_layers), "facts": dict(made.facts)}), encoding="utf-8")
    part.replace(folder / RECORD)
