"""Parameters and MACs of timm's vision transformers and hybrids against published figures.

    python benchmarks/published_macs.py [MODEL ...]

Needs no weights and no network. With no model named, all rows of ``published_macs.csv`` are counted and the table is written to
``results/published_macs.md``.
"""

import csv
import gc
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import final

import timm
import torch

from efficient360.errors import Unsupported
from efficient360.methods.complexity.mac_count import OperationCount, count_macs, reference_macs, structure_copy
from efficient360.methods.complexity.resolution_scaling import fit_scaling_law, macs_at_sizes

HERE = Path(__file__).parent
SCALES = (1, 2, 3, 4)
TOLERANCE = 0.01
HEAD = """# Parameters and MACs against published figures

Written by `python benchmarks/published_macs.py` ({versions}). Random weights, one image, the size in the second column.

- **ours**: `efficient360.methods.complexity.mac_count.count_macs`; **unfused**: the same network built with explicit attention; **torch**: `FlopCounterMode`
  with attention forced onto its unfused path, to be compared with **products** (ours without normalisation and resampling).
- **timm**: what timm published for its own models, `results/benchmark-infer-amp-nchw-pt240-cu124-rtx4090.csv` of
  huggingface/pytorch-image-models, to two decimals. **authors**: a figure from somebody else's implementation, if there is one.
- **off**: relative distance from the published figure after rounding: a figure printed as 4.5 is the interval 4.45 – 4.55, and 0 % lies within.
- **growth**: exponent of MACs against pixels between one and four times the side (1 linear, 2 quadratic).

"""


@final
@dataclass(frozen=True)
class ModelCounts:
    """Counts of one model."""

    parameters: int
    fused: OperationCount
    unfused: OperationCount
    reference: int
    growth: str


def measured(name: str, size: int) -> ModelCounts:
    images = torch.rand((1, 3, size, size), generator=torch.Generator().manual_seed(0))
    try:
        timm.layers.set_fused_attn(True, experimental=True)
        network = timm.create_model(name).eval()
        fused = count_macs(network, images)
        reference = reference_macs(structure_copy(network, "meta"), torch.empty(1, 3, size, size, device="meta"))
        parameters = sum(parameter.numel() for parameter in network.parameters())
        try:
            growth = f"{fit_scaling_law(*zip(*macs_at_sizes(network, name, {}, (3, size, size), SCALES), strict=True)).exponent:.2f}"
        except Unsupported:
            growth = "one size only"
        timm.layers.set_fused_attn(False)
        del network
        unfused = count_macs(timm.create_model(name).eval(), images)
    finally:
        timm.layers.set_fused_attn(True)
    return ModelCounts(parameters, fused, unfused, reference, growth)


def off(value: float, published: str, decimals: int | None = None) -> float:
    """Relative distance from the interval that a figure printed to so many decimals stands for; 0 within it."""
    half = 0.5 * 10.0 ** -(len(published.partition(".")[2]) if decimals is None else decimals)
    nominal = float(published)
    return max(0.0, abs(value - nominal) - half) / nominal


def row(name: str, size: int, published: dict[str, str]) -> tuple[str, list[str]]:
    """A line of the table, and what is off by more than the tolerance in it."""
    counts = measured(name, size)
    gmacs, millions, activations = counts.fused.macs / 1e9, counts.parameters / 1e6, counts.fused.activations / 1e6
    away = {key: off(value, published[key], 2) for key, value in (("parameters", millions), ("gmacs", gmacs), ("activations", activations))}
    away["authors"] = off(gmacs, published["authors_gmacs"]) if published["authors_gmacs"] else 0.0
    equal = (counts.fused.macs, counts.fused.activations) == (counts.unfused.macs, counts.unfused.activations)
    mark, second = "" if equal else " ≠", "" if counts.reference == counts.fused.products else " ≠"
    cells = [
        name,
        str(size),
        f"{millions:.2f}",
        published["parameters"],
        f"{gmacs:.3f}",
        f"{counts.unfused.macs / 1e9:.3f}{mark}",
        f"{counts.fused.products / 1e9:.3f}",
        f"{counts.reference / 1e9:.3f}{second}",
        published["gmacs"],
        f"{100 * away['gmacs']:.2f} %",
        published["authors_gmacs"],
        f"{100 * away['authors']:.2f} %" if published["authors_gmacs"] else "",
        f"{activations:.2f}",
        published["activations"],
        counts.growth,
    ]
    notes = [f"- {name}: {key} {100 * distance:.1f} % off" for key, distance in away.items() if distance > TOLERANCE]
    notes += [f"- {name}: uncounted {counts.fused.uncounted}"] if counts.fused.uncounted else []
    notes += [] if equal else [f"- {name}: fused and unfused differ"]
    return "| " + " | ".join(cells) + " |", notes


def main(chosen: list[str]) -> None:
    warnings.simplefilter("ignore")
    with (HERE / "published_macs.csv").open() as file:
        published = [line for line in csv.DictReader(file) if not chosen or line["model"] in chosen]
    columns = "model | px | M params | timm | GMACs ours | unfused | products | torch | timm | off | authors | off | M activations | timm | growth"
    lines = [f"| {columns} |", "| " + " | ".join(["---"] * len(columns.split(" | "))) + " |"]
    notes: list[str] = []
    for model in published:
        line, more = row(model["model"], int(model["size"]), model)
        print(line, *more, sep="\n", flush=True)
        lines.append(line)
        notes += more
        gc.collect()
    if not chosen:
        versions = f"torch {torch.__version__.partition('+')[0]}, timm {timm.__version__}"
        sources = sorted({f"- {line['model']}: {line['authors_source']}" for line in published if line["authors_source"]})
        parts = [*lines, "", "## Off by more than 1 %", "", "\n".join(notes) or "None.", "", "## Authors' figures", "", *sources, ""]
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / "published_macs.md").write_text(HEAD.format(versions=versions) + "\n".join(parts))


if __name__ == "__main__":
    main(sys.argv[1:])
