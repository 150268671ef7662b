"""Exponent and stable rank against weightwatcher on the same matrices, and the time of both, in one process.

    pip install --no-deps weightwatcher==0.7.7 powerlaw && pip install pandas matplotlib    # into an environment of its own
    python benchmarks/weightwatcher_agreement.py [CHECKPOINT.safetensors] > benchmarks/results/weightwatcher_agreement.md

Each network is taken apart as ``weight_spectrum`` does (queries, keys, values separately); every matrix with both sides of 128 or more becomes a linear layer
of a network that weightwatcher is given. Times are seconds of one CPU, so that other work on the machine does not show. The ratio is ours on those matrices
(with their heads) over ``analyze()`` on them. Beside it: everything that ``weight_spectrum`` computes (walking, splitting, narrow matrices too, convolutions as
operators, the figures), and ``analyze()`` on the network as it is, fused.
"""

import contextlib
import io
import logging
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import numpy as np
import timm
import torch
from torch import nn

from efficient360.methods.spectral.layer_spectra import LayerSpectrum, layer_spectra
from efficient360.methods.spectral.linear_operators import MatrixWeight, OperatorInventory, find_operators
from efficient360.methods.spectral.weight_report import weight_figures
from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

ZOO = (
    "deit_tiny_patch16_224",
    "deit_small_patch16_224",
    "swin_tiny_patch4_window7_224",
    "xcit_nano_12_p16_224",
    "mobilevit_xxs",
    "levit_128s",
    "pvt_v2_b0",
    "tiny_vit_5m_224",
    "cait_xxs24_224",
    "efficientvit_b0",
)
SMALLEST = 128
TITLE = """# Agreement with weightwatcher

Written by `python benchmarks/weightwatcher_agreement.py vit_cifar10.safetensors` (weightwatcher {weightwatcher}, torch {torch}, timm {timm}, 1 thread,
seconds of CPU time).

α and stable rank of every matrix with both sides of 128 or more, queries, keys and values separately; both read the same matrices. The differences are the
largest relative ones over all of a network's matrices. *On everything* includes what weightwatcher does not do: narrow matrices, heads, and convolutions as
operators on their real image size, which is most of the time of convolutional networks.
"""


@dataclass(frozen=True)
class Row:
    name: str
    parameters: float
    layers: int
    fitted: int
    alpha: float
    worst_alpha: float
    worst_stable: float
    ours: float
    theirs: float
    ours_whole: float
    theirs_fused: float


def networks(checkpoints: list[str]) -> Iterator[tuple[str, nn.Module, tuple[int, int, int]]]:
    for reference in ("digits-vit", *checkpoints):
        model = load_model(resolve(CheckpointSpec(reference)))
        yield reference.rsplit("/", maxsplit=1)[-1].removesuffix(".safetensors"), model.network, model.input_size
    for name in ZOO:
        torch.manual_seed(0)
        network = timm.create_model(name).eval().requires_grad_(False)
        yield f"{name} (random)", network, network.default_cfg["input_size"]


def analysed(network: nn.Module):
    import weightwatcher

    silence = io.StringIO()
    began = time.process_time()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        details = weightwatcher.WeightWatcher(model=network).analyze()
    return details, time.process_time() - began


def ours(network: nn.Module, size: tuple[int, int, int]) -> tuple[OperatorInventory, list[LayerSpectrum], float]:
    began = time.process_time()
    operators = find_operators(network, torch.full((1, *size), 0.5))
    layers = list(layer_spectra(operators, SMALLEST, 0, lambda done, total: None))
    list(weight_figures(layers))
    return operators, layers, time.process_time() - began


def compared(name: str, network: nn.Module, size: tuple[int, int, int]) -> Row:
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    operators, layers, mine = ours(network, size)
    _, theirs_fused = analysed(network)
    wide = [
        (weight, layer) for weight, layer in zip(operators.weights, layers, strict=True) if isinstance(weight, MatrixWeight) and layer.power_law is not None
    ]
    if not wide:
        return Row(name, parameters, len(layers), 0, np.nan, np.nan, np.nan, np.nan, np.nan, mine, theirs_fused)
    apart = nn.Sequential(*(nn.Linear(w.blocks.shape[2], w.blocks.shape[1], bias=False) for w, _ in wide))
    with torch.no_grad():
        for linear, (weight, _) in zip(apart, wide, strict=True):
            linear.weight.copy_(weight.blocks[0])
    began = time.process_time()
    layer_spectra(OperatorInventory([weight for weight, _ in wide], 1, 1), SMALLEST, 0, lambda done, total: None)
    same = time.process_time() - began
    details, theirs = analysed(apart)
    assert len(details) == len(wide), (name, len(details), len(wide))
    alphas = np.array([layer.power_law.alpha for _, layer in wide if layer.power_law])
    ranks = np.array([layer.spectrum.stable_rank for _, layer in wide])
    worst_alpha = np.abs(details["alpha"].to_numpy() / alphas - 1).max()
    worst_stable = np.abs(details["stable_rank"].to_numpy() / ranks - 1).max()
    return Row(name, parameters, len(layers), len(wide), alphas.mean(), worst_alpha, worst_stable, same, theirs, mine, theirs_fused)


def main(checkpoints: list[str]) -> None:
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    print(TITLE.format(torch=torch.__version__, weightwatcher=metadata.version("weightwatcher"), timm=metadata.version("timm")))
    heads = ("network", "M parameters", "layers", "fitted", "mean α", "worst α difference", "worst stable rank difference")
    times = ("ours on these, s", "weightwatcher on these, s", "ratio", "ours on everything, s", "weightwatcher on the network, s")
    print("| " + " | ".join((*heads, *times)) + " |")
    print("| --- " * (len(heads) + len(times)) + "|")
    totals = np.zeros(2)
    for name, network, size in networks(checkpoints):
        row = compared(name, network, size)
        agreement = (f"{row.alpha:.2f}", f"{row.worst_alpha:.1e}", f"{row.worst_stable:.1e}") if row.fitted else ("", "", "")
        ratio = (f"{row.ours:.2f}", f"{row.theirs:.2f}", f"{row.ours / row.theirs:.2f}") if row.fitted else ("", "", "")
        cells = (name, f"{row.parameters:.2f}", row.layers, row.fitted, *agreement, *ratio, f"{row.ours_whole:.2f}", f"{row.theirs_fused:.2f}")
        print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
        if row.fitted:
            totals += (row.ours, row.theirs)
    print(f"\nAll together: {totals[0]:.1f} s against {totals[1]:.1f} s, ratio {totals[0] / totals[1]:.2f}.")


if __name__ == "__main__":
    main(sys.argv[1:])
