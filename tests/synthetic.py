"""A made-up report with everything a page may have to draw: all thirteen dimensions, every kind of figure, every kind of failure."""

import importlib
import math
from typing import Any

from efficient360.core.figures import Bars, Curve, Figure, Gallery, Heatmap, Picture, Series, Table
from efficient360.core.measurement import BYTE, MAC, NAT, ONE, SECOND, Better, Failure, Interval, Measurement, Metric, Outcome, Status
from efficient360.core.outcome import Record
from efficient360.dimensions.dimension import Anchor, Dimension
from efficient360.reports.report import Report, axes_of

NAMES = (
    "performance",
    "memory",
    "computation",
    "latency",
    "robustness",
    "fairness",
    "inclusiveness",
    "privacy",
    "transparency",
    "spectral",
    "continual",
    "probabilistic",
    "approximation",
)
HOSTILE_NAME = "<img src=x onerror=alert(1)>"
HOSTILE_CLASS = "\"quotes' & </script><script>alert(2)</script>"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", HOSTILE_CLASS, "truck")
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAPUlEQVR4nGNkYGBg+P//PwM2wIRVFJcEIyMjTh0MDAwseCQYGRnx2/H//3"
    "+cdjAyMuK0A5cOrDr+//8PALwHDxlyXz2mAAAAAElFTkSuQmCC"
)

TOP1 = Metric("top1", ONE, Better.HIGHER, "Share of images whose most likely class is the right one.", "Russakovsky et al. 2015, section 4", 0, 1)
TOP5 = Metric("top5", ONE, Better.HIGHER, "Share of images whose right class is among the five most likely.", "", 0, 1)
PARAMETERS = Metric("parameters", ONE, Better.LOWER, "Learned numbers in the network.", "", 0)
WEIGHT_BYTES = Metric("weight_bytes", BYTE, Better.LOWER, "Bytes that the weights take as stored.", "", 0)
MACS = Metric("macs", MAC, Better.LOWER, "Multiply–accumulate operations for one image; 1 MAC is 2 FLOP.", "", 0)
GROWTH = Metric("macs_growth", ONE, Better.LOWER, "Exponent with which the MACs grow as the number of pixels does.")
LATENCY = Metric("latency_p50", SECOND, Better.LOWER, "Median time of one image through the deployed artefact.", "", 0)
CORRUPTED = Metric("corruption_accuracy", ONE, Better.HIGHER, "Top-1 accuracy on corrupted images.", "Hendrycks & Dietterich 2019", 0, 1)
NLL_ = Metric("nll", NAT, Better.LOWER, "Mean negative log-probability of the right class.", "", 0)
ECE = Metric("ece", ONE, Better.LOWER, "Mean gap between confidence and accuracy over 15 bins.", "Naeini et al. 2015; Guo et al. 2017, Eq. 3", 0, 1)
ECE_EXCESS = Metric("ece_excess", ONE, Better.LOWER, "ECE beyond what a perfectly calibrated model would show on as many images.", "", -1, 1)
BRIER = Metric("brier", ONE, Better.LOWER, "Squared distance between the predicted probabilities and the truth.", "Brier 1950", 0, 2)
ATTACK = Metric("attack_auc", ONE, Better.LOWER, "How well an attacker tells training images from others; 0.5 is a coin.", "Carlini et al. 2022", 0, 1)
WORST = Metric("worst_group_accuracy", ONE, Better.HIGHER, "Top-1 accuracy of the group that fares worst.", "Sagawa et al. 2020", 0, 1)
TAIL = Metric("tail_accuracy", ONE, Better.HIGHER, "Top-1 accuracy on the rarest fifth of the classes.", "", 0, 1)
GAIN = Metric("deletion_gain", ONE, Better.HIGHER, "How much faster confidence falls than when pixels go at random.", "Petsiuk et al. 2018", -1, 1)
RANK = Metric("effective_rank", ONE, Better.NEITHER, "Exponential of the entropy of the normalised singular values.", "Roy & Vetterli 2007", 0)

Extra = tuple[Figure, ...]


def measured(evaluator: str, metric: Metric, value: float, extra: Extra = (), **rest: Any) -> Record:
    return Record(evaluator, Measurement(metric, value, extra=extra, **rest))


def failed(evaluator: str, status: Status, code: str, message: str, hint: str, metric: Metric | None = None) -> Record:
    return Record(evaluator, Failure(status, code, message, hint, metric))


def reliability() -> Curve:
    x = tuple(0.05 + 0.1 * i for i in range(10))
    y = tuple(max(0.0, v - 0.09 * math.sin(math.pi * v)) for v in x)
    bins = Series("measured", x, y, tuple(max(0.0, v - 0.04) for v in y), tuple(min(1.0, v + 0.04) for v in y), style="points")
    return Curve("Reliability", "confidence", "accuracy", (Series("perfect", (0.0, 1.0), (0.0, 1.0), style="reference"), bins))


def growth() -> Curve:
    sizes = (96.0, 128.0, 160.0, 192.0, 224.0, 288.0, 384.0)
    ours = Series("this model", sizes, tuple(s**2.2 * 6e3 for s in sizes))
    return Curve("MACs against resolution", "pixels a side", "MACs", (ours, Series("linear", sizes, tuple(s**2 * 1.8e4 for s in sizes))), y_log=True)


def risk() -> Curve:
    x = tuple(i / 60 for i in range(1, 61))
    y = tuple(0.12 * v**2 for v in x)
    ours = Series("risk", x, y, tuple(0.8 * v for v in y), tuple(1.2 * v for v in y))
    return Curve("Risk against coverage", "coverage", "risk", (ours, Series("random", x, tuple(0.12 for _ in x), style="reference")))


def by_class() -> Bars:
    values = tuple(0.95 - 0.03 * i for i in range(len(CLASSES)))
    low, high = tuple(v - 0.05 for v in values), tuple(v + 0.03 for v in values)
    return Bars("Accuracy by class", "class", "accuracy", CLASSES, values, low, high)


def corruptions() -> Heatmap:
    rows = ("gaussian noise", "fog", "motion blur", "JPEG")
    values = tuple(tuple(None if (r, s) == (2, 4) else 0.9 - 0.06 * r - 0.09 * s for s in range(5)) for r in range(4))
    return Heatmap("Accuracy by corruption and severity", "severity", "corruption", ("1", "2", "3", "4", "5"), rows, values)


def mistakes() -> Gallery:
    pictures = [Picture(PIXEL, f"{CLASSES[i % 10]}, taken for {CLASSES[(i + 3) % 10]}", f"confidence {0.99 - 0.01 * i:.2f}") for i in range(9)]
    return Gallery("The hardest mistakes", (*pictures, Picture("https://example.org/tracker.png", "remote", "is not drawn")))


def layers() -> Table:
    return Table("Parameters by layer", ("layer", "parameters", "share"), tuple((f"blocks.{i}.attn.qkv", 110592 + i, 0.083) for i in range(4)))


def dimensions() -> list[Dimension]:
    found = [importlib.import_module(f"efficient360.dimensions.{name}").DIMENSION for name in NAMES]
    stand_ins = {
        "transparency": (Anchor("explanations", "deletion_gain", 0.0, 0.6, "chance; the best of a paper"),),
        "spectral": (Anchor("explanations", "alpha", 8.0, 2.0, "random weights; heavy tails"),),
        "fairness": (Anchor("groups", "worst_group_accuracy", 0.0, 1.0, "the bounds of the metric"),),
        "inclusiveness": (Anchor("groups", "tail_accuracy", 0.0, 1.0, "the bounds of the metric"),),
        "robustness": (Anchor("corruptions", "corruption_accuracy", 0.0, 1.0, "the bounds of the metric"),),
        "latency": (Anchor("latency", "latency_p50", 1.0, 0.001, "one second; one millisecond"),),
        "privacy": (Anchor("membership", "attack_auc", 1.0, 0.5, "certainty; a coin"),),
    }
    return [Dimension(d.name, d.title, d.question, d.order, stand_ins[d.name], d.caveat) if d.name in stand_ins else d for d in found]


def outcomes() -> list[Record]:
    wilson = Interval(0.871, 0.911, "wilson")
    records = [
        measured("accuracy", TOP1, 0.893, (by_class(), mistakes()), n=897, interval=wilson),
        measured("accuracy", TOP5, 0.992, n=897, interval=Interval(0.984, 0.996, "wilson")),
        measured("parameters", PARAMETERS, 5_717_416, (layers(),)),
        measured("parameters", WEIGHT_BYTES, 22_869_664),
        failed("memory", Status.FAILED, "evaluator-crashed", "The process died with signal 9 while tracing activations.", "Lower --batch-size."),
        measured("macs", MACS, 1.256e9, (growth(),)),
        measured("macs", GROWTH, 1.12),
        failed("latency", Status.UNSUPPORTED, "machine-busy", "Another process held the machine.", "Stop other work and run the command again.", LATENCY),
        measured("calibration", NLL_, 0.412, n=897, interval=Interval(0.36, 0.47, "bootstrap")),
        measured("calibration", ECE, 0.0921, (reliability(), risk()), n=897, interval=Interval(0.074, 0.111, "bootstrap")),
        measured("calibration", ECE_EXCESS, 0.061, n=897, interval=Interval(0.043, 0.08, "bootstrap")),
        measured("calibration", BRIER, 0.162, n=897, interval=Interval(0.14, 0.19, "bootstrap")),
        measured("groups", WORST, 0.81, n=90, interval=Interval(0.72, 0.88, "clopper-pearson"), conditions={"group": "writer"}),
        measured("groups", TAIL, 0.78, n=180, interval=Interval(0.71, 0.83, "wilson")),
        measured("explanations", GAIN, 0.33, n=64, interval=Interval(0.27, 0.39, "bootstrap")),
        measured("spectrum", RANK, 143.2, n=5, interval=Interval(141.3, 145.0, "t"), samples=(141.0, 142.5, 143.2, 144.0, 145.3)),
        failed("membership", Status.NOT_RUN, "out-of-time", "The time budget was spent before this was done.", "Raise --max-minutes and run it again.", ATTACK),
    ]
    corrupted: list[Outcome] = [Measurement(CORRUPTED, 0.61, 897, Interval(0.58, 0.64, "wilson"), extra=(corruptions(),))]
    for name in ("gaussian_noise", "fog", "motion_blur", "jpeg"):
        for severity in range(1, 6):
            value = 0.9 - 0.08 * severity
            corrupted.append(Measurement(CORRUPTED, value, 897, Interval(value - 0.03, value + 0.03, "wilson"), {"corruption": name, "severity": severity}))
    return records + [Record("corruptions", outcome) for outcome in corrupted]


def report(name: str = "deit_tiny_digits", digest: str = "d" * 64, state: str = "incomplete", scale: float = 1.0) -> Report:
    """The made-up report; ``scale`` multiplies its top-1 accuracy, so that two differ."""
    records = outcomes()
    records[0] = measured("accuracy", TOP1, 0.893 * scale, (by_class(), mistakes()), n=897, interval=Interval(0.871 * scale, 0.911 * scale, "wilson"))
    evaluators = {"accuracy": {"k": 5}, "calibration": {"bins": 15}, "parameters": {}}
    return Report(
        state="complete" if state == "complete" else "incomplete",
        created="2026-01-05T09:30:00+00:00",
        updated="2026-01-05T09:41:12+00:00",
        command="efficient360 evaluate deit_tiny_digits --dataset digits --protocol quick",
        checkpoint={
            "reference": name,
            "name": name,
            "architecture": "deit_tiny_patch16_224",
            "arguments": {"num_classes": 10, "img_size": 32},
            "digest": "a" * 64,
            "preprocessing": {"input_size": [3, 32, 32], "mean": [0.5, 0.5, 0.5], "crop_pct": 1.0},
            "card": {"licence": "Apache-2.0"},
        },
        dataset={"name": "digits", "split": "test", "examples": 897, "digest": digest, "licence": "CC0", "classes": list(CLASSES)},
        environment={
            "host": "laptop",
            "cpu": "some CPU",
            "gpu": None,
            "versions": {"python": "3.11.7", "torch": "2.14.0"},
            "git": {"commit": "1" * 40, "dirty": False},
        },
        protocol={"name": "quick", "seed": 0, "max_minutes": None, "evaluators": evaluators},
        records=records,
        axes=axes_of(dimensions(), records),
    )
