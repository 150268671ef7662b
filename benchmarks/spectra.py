"""Seconds a model that ``feature_spectrum`` takes, and its curvature against pyhessian's on the same images.

    pip install --no-deps pyhessian    # into an environment of its own; without it the agreement is left out
    python benchmarks/spectra.py [CHECKPOINT.safetensors] [--data-dir DIR] [--out FILE]

The models of timm have random weights and see made-up images of soft noise: tokens, filters and attention, without the Hessian. Times are seconds of
one CPU, so that other work on the machine does not show.
"""

import argparse
import contextlib
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from efficient360.core.batch import Batch
from efficient360.core.measurement import Measurement
from efficient360.datasets.loader import open_dataset
from efficient360.datasets.spec import DatasetSpec
from efficient360.evaluator import Context, Deadline, Examples
from efficient360.evaluators.feature_spectrum import FeatureSpectrum
from efficient360.execution.scoring import outcomes_of, score_all
from efficient360.methods.spectral.hessian import LossHessian
from efficient360.methods.spectral.hessian_top_eigenvalue import run_lanczos, trace_estimates
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.model import TorchModel
from efficient360.models.references import resolve
from efficient360.storage.row_log import RowLog

ZOO = (
    "vit_tiny_patch16_224",
    "deit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
    "pvt_v2_b0",
    "mobilevit_xxs",
    "poolformer_s12",
    "twins_svt_small",
    "convit_tiny",
    "xcit_nano_12_p16_224",
    "mixer_s32_224",
)
QUICK = FeatureSpectrum(examples=64, attention_examples=32, hessian_examples=16, steps=10, probes=6)
FEATURES = FeatureSpectrum(examples=8, bands=(0.25,), attention_examples=8, hessian_examples=0)
SHOWN = ("high_frequency_share", "high_frequency_loss", "token_similarity", "token_rank", "attention_entropy", "attention_distance", "attention_response")
SEED = 0


@dataclass(frozen=True)
class Noise:
    """Made-up images in memory."""

    images: Tensor
    places: tuple[int, ...]
    digest: str = "noise"
    class_names: Sequence[str] = ()

    @property
    def ids(self) -> list[str]:
        return [str(i) for i in self.places]

    @property
    def labels(self) -> Any:
        return np.zeros(len(self.places), dtype=np.int64)

    @property
    def groups(self) -> dict[str, list[str]]:
        return {}

    def __len__(self) -> int:
        return len(self.places)

    def batches(self, size: int, start: int = 0) -> Iterator[Batch]:
        for first in range(start, len(self), size):
            part = self.places[first : first + size]
            yield Batch(tuple(map(str, part)), torch.zeros(len(part), dtype=torch.long), lambda part=part: self.images[list(part)], SEED)

    def select(self, ids: Sequence[str]) -> "Noise":
        return Noise(self.images, tuple(int(name) for name in ids))

    def subset(self, n: int, _seed: int) -> "Noise":
        return Noise(self.images, self.places[:n])


def soft_noise(n: int, size: tuple[int, int, int]) -> Tensor:
    coarse = torch.rand((n, 3, size[1] // 8, size[2] // 8), generator=torch.Generator().manual_seed(SEED))
    return torch.nn.functional.interpolate(coarse, size[1:], mode="bilinear")


def made_up(_checkpoint: object, model: TorchModel) -> Examples:
    return Noise(soft_noise(8, model.size), tuple(range(8)))


def measure(evaluator: FeatureSpectrum, spec: CheckpointSpec, examples: Callable[[Any, TorchModel], Examples]) -> list[str]:
    """A row: the model, images, seconds, and the metrics."""
    checkpoint = resolve(spec)
    model = load_model(checkpoint)
    seen = examples(checkpoint, model).subset(evaluator.examples or 1, SEED)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        context = Context(checkpoint, seen, None, SEED, 32, Deadline(), Path(folder))
        outcomes = outcomes_of(evaluator, model, score_all(evaluator, model, seen, context, context.progress), context)
    seconds = time.process_time() - began
    values = {o.metric.name: o.value for o in outcomes if isinstance(o, Measurement)}
    row = [checkpoint.name, str(len(seen)), f"{seconds:.1f}", *(f"{values[name]:.3g}" if name in values else "-" for name in SHOWN)]
    print(*row, flush=True)
    return row


def against_pyhessian(model: TorchModel, images: Tensor, labels: Tensor, rounds: int) -> list[list[str]] | None:
    """Top eigenvalue and trace of both; ``None`` without pyhessian."""
    try:
        from pyhessian import hessian
    except ImportError:
        return None
    clock: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = work()
        clock[name] = time.process_time() - began
        return result

    with tempfile.TemporaryDirectory() as folder:
        ours = LossHessian(model, images, labels, len(images))
        state = timed("our eigenvalue", lambda: run_lanczos(ours, 40, SEED, Path(folder) / "lanczos.safetensors", lambda: None))
        log = RowLog(Path(folder) / "trace.f64", 1, "float64")
        estimates = timed("our trace", lambda: trace_estimates(ours, rounds, SEED, log, lambda: None))
    torch.manual_seed(SEED)
    module = model.module.requires_grad_(True)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        theirs = hessian(module, torch.nn.CrossEntropyLoss(), data=(images, labels), cuda=False)
        with contextlib.suppress(AttributeError):
            values, _ = timed("their eigenvalue", lambda: theirs.eigenvalues(maxIter=60, tol=1e-3))
        traces = timed("their trace", lambda: theirs.trace(maxIter=rounds, tol=0.0))
    module.requires_grad_(False)
    spread = [np.std(t, ddof=1) / len(t) ** 0.5 for t in (estimates, traces)]
    return [
        [
            "largest eigenvalue",
            f"{state.ritz_values()[0]:.2f} ± {state.ritz_values()[2]:.2f}",
            f"{values[0]:.2f}",
            f"{clock['our eigenvalue']:.1f}",
            f"{clock['their eigenvalue']:.1f}",
            f"{clock['our eigenvalue'] / clock['their eigenvalue']:.2f}",
        ],
        [
            f"trace, {rounds} probes",
            f"{np.mean(estimates):.0f} ± {spread[0]:.0f}",
            f"{np.mean(traces):.0f} ± {spread[1]:.0f}",
            f"{clock['our trace']:.1f}",
            f"{clock['their trace']:.1f}",
            f"{clock['our trace'] / clock['their trace']:.2f}",
        ],
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="digits-vit")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--images", type=int, default=16, help="images of the Hessian that both are given")
    parser.add_argument("--rounds", type=int, default=10, help="probes of the trace")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    def opened(name: str, folder: Path | None) -> Callable[[Any, TorchModel], Examples]:
        return lambda checkpoint, _model: open_dataset(DatasetSpec(name, folder, max_examples=1000), checkpoint, SEED).examples

    name, folder = ("digits", None) if arguments.checkpoint == "digits-vit" else (arguments.dataset, arguments.data_dir)
    checkpoint = resolve(CheckpointSpec(arguments.checkpoint))
    model = load_model(checkpoint)
    (batch,) = open_dataset(DatasetSpec(name, folder, max_examples=arguments.images), checkpoint, SEED).examples.batches(arguments.images)
    agreement = against_pyhessian(model, batch.images, batch.labels, arguments.rounds)
    print(agreement, flush=True)
    rows = [measure(QUICK, CheckpointSpec("digits-vit"), opened("digits", None))]
    if arguments.checkpoint != "digits-vit":
        rows.append(measure(QUICK, CheckpointSpec(arguments.checkpoint), opened(name, folder)))
    for model_name in ZOO:
        rows.append(measure(FEATURES, CheckpointSpec(model_name, random_weights=True), made_up))
    text = f"# Feature spectra\n\nSeconds of one CPU ({platform.processor() or platform.machine()}, torch {torch.__version__}). The first "
    text += f"{len(rows) - len(ZOO)} with `{QUICK}`, the others, random weights on made-up images, with `{FEATURES}`.\n\n"
    text += table(("model", "images", "seconds", *SHOWN), rows)
    text += f"\n## Against pyhessian\n\n{checkpoint.name}, {arguments.images} images.\n\n"
    head = ("quantity", "ours", "pyhessian", "our seconds", "its seconds", "ratio")
    text += table(head, agreement) if agreement else "pyhessian is not installed.\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
