"""How much of a device's peak a model reaches, and whether families differ in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from scipy.stats import gmean

from efficient360.benchmark.board import DeviceBoard
from efficient360.benchmark.zoo import Family
from efficient360.deployment.runtimes.runtime import Precision

LARGEST_FACTOR = 2.0
"""Networks whose multiply-adds are further apart are not compared."""


@final
@dataclass(frozen=True)
class MatmulPeak:
    """The best speed that large matrix products reach on a device.

    Args:
        speed: Multiply-adds a second.
        label: ``runtime:precision`` that reached it.
        others: Speeds of the other runtimes tried.
    """

    speed: float
    label: str
    others: Mapping[str, float]


def matmul_peak(board: DeviceBoard) -> MatmulPeak | None:
    """The peak of a board; ``None`` where no runtime gave the right products."""
    speeds = {}
    for label, cell in board.peak.items():
        if cell.rankable is not None and cell.model.macs is not None:
            speeds[label] = cell.model.macs * board.batch / cell.rankable.p50
    if not speeds:
        return None
    best = max(speeds, key=speeds.__getitem__)
    return MatmulPeak(speeds[best], best, {label: speed for label, speed in speeds.items() if label != best})


def utilisation(board: DeviceBoard, model: str, label: str) -> float | None:
    """Achieved multiply-adds a second over the peak; above 1 where an algorithm spares products (Winograd). ``None`` where one of them is missing."""
    top, numbers = matmul_peak(board), board.rankable_numbers(model, label)
    macs = next((m.macs for m in board.models if m.name == model), None)
    return None if top is None or numbers is None or macs is None else macs * board.batch / numbers.p50 / top.speed


@final
@dataclass(frozen=True)
class FamilyUtilisation:
    """Utilisation by family in one column.

    Args:
        means: Geometric mean by family.
        models: Number of models by family.
        gap: Mean of the CNNs over that of ViTs and hybrids together; above 1 where CNNs use the hardware better. ``None`` where one side is missing.
    """

    means: Mapping[Family, float]
    models: Mapping[Family, int]
    gap: float | None


def family_utilisation(board: DeviceBoard, label: str) -> FamilyUtilisation | None:
    """Utilisation by family in a column; ``None`` where nothing is known."""
    shares: dict[Family, list[float]] = {}
    for model in board.models:
        if (share := utilisation(board, model.name, label)) is not None:
            shares.setdefault(model.family, []).append(share)
    if not shares:
        return None
    transformers = [*shares.get(Family.VIT, []), *shares.get(Family.HYBRID, [])]
    networks = shares.get(Family.CNN, [])
    gap = float(gmean(networks) / gmean(transformers)) if networks and transformers else None
    return FamilyUtilisation({f: float(gmean(v)) for f, v in shares.items()}, {f: len(v) for f, v in shares.items()}, gap)


def best_utilisation(board: DeviceBoard, model: str) -> float | None:
    """Utilisation of a model in its fastest runtime in fp32."""
    shares = [share for label in board.labels_of(Precision.FP32) if (share := utilisation(board, model, label)) is not None]
    return max(shares) if shares else None


@final
@dataclass(frozen=True)
class MatchedPair:
    """A transformer or hybrid beside the CNN whose multiply-adds are nearest: utilisation in the best runtime of each."""

    model: str
    family: Family
    macs: int
    used: float
    cnn: str
    cnn_macs: int
    cnn_used: float


def matched_pairs(board: DeviceBoard) -> list[MatchedPair]:
    """Each ViT and hybrid beside the CNN nearest in multiply-adds, at most a factor of two away."""
    known = [(m, m.macs, used) for m in board.models if m.macs is not None and (used := best_utilisation(board, m.name)) is not None]
    matched = []
    for model, macs, used in known:
        near = [(_factor(macs, other), cnn.name, other, share) for cnn, other, share in known if cnn.family is Family.CNN]
        if model.family in (Family.VIT, Family.HYBRID) and near:
            factor, name, other, share = min(near)
            matched += [MatchedPair(model.name, model.family, macs, used, name, other, share)] if factor <= LARGEST_FACTOR else []
    return matched


def _factor(first: int, second: int) -> float:
    return max(first / second, second / first)
