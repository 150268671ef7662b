"""Low-rank factorization: each linear layer as the product of two thinner ones, by truncated SVD of its weights, or of what they do to calibration images."""

import copy
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Tensor, nn

from efficient360.core.measurement import Conditions
from efficient360.errors import SettingsError, Unsupported
from efficient360.methods.compression.compressor import CompressedNetwork, Compressor
from efficient360.methods.compression.moments import Moments, input_moments
from efficient360.models.compressed_file import stored_tensors
from efficient360.models.structure.factored_linear import LINEAR, FactoredLinear, truncated

MIN_SIDE: Final = 32
"""Layers with a side below this are not factorized: a classifier of ten classes has no rank to spare."""


@final
@dataclass(frozen=True)
class LowRankFactorization(Compressor):
    """Each linear layer replaced by the product of two thinner ones, of the rank at which they hold a given share of its weights, without training after.

    The factors come from the truncated singular value decomposition, the best approximation of its rank (Eckart & Young 1936; on networks Denil et al. 2013).

    Args:
        percent: Share of a layer's weights that its factors may hold, 1 to 99 %.

    Raises:
        SettingsError: A share out of this range.
    """

    name: ClassVar[str] = "low_rank"
    title: ClassVar[str] = "Low rank"
    percent: int

    def __post_init__(self) -> None:
        if not 1 <= self.percent <= 99:
            raise SettingsError("bad-strength", f"factors with {self.percent} percent of a layer's weights are not offered", "give 1 to 99")

    @property
    def strength(self) -> Conditions:
        return {"kept": f"{self.percent} %"}

    def compress(self, network: nn.Module) -> CompressedNetwork:
        """As :meth:`Compressor.compress`; layers with a short side are left unchanged.

        Raises:
            Unsupported: No linear layer is large enough (``no-linear-layers``).
        """
        factorized = copy.deepcopy(network)
        for name, layer in _factorable(factorized, self.percent).items():
            factorized.set_submodule(name, truncated(layer, _rank(layer, self.percent)))
        return CompressedNetwork(factorized, stored_tensors(factorized), rebuilt=True)


def factorize(module: nn.Module, network: nn.Module, percent: int, images: Tensor) -> dict[str, int]:
    """Replace linear layers by two factors that change their outputs on calibration images least; changed in place.

    Truncated SVD of ``W·S`` with ``S·Sᵀ`` the covariance of the layer's inputs: the best of its rank in the outputs' squared error, where the plain one is the
    best in the weights' (Wang et al. 2024, SVD-LLM, section 3.1). The bias takes up the mean of what is lost.

    Args:
        module: Images to logits, in eval mode.
        network: What it holds, in which layers are named.
        percent: Share of a layer's weights that its factors may hold, 1 to 99 %.
        images: Calibration images.

    Returns:
        Ranks by name of the layers that were replaced; those with a short side are left unchanged.

    Raises:
        Unsupported: No linear layer is large enough (``no-linear-layers``).
    """
    ranks = {name: _rank(layer, percent) for name, layer in _factorable(network, percent).items()}
    for name, moments in input_moments(module, _factorable(network, percent), images):
        network.set_submodule(name, _nearest_outputs(network.get_submodule(name), ranks[name], moments))  # type: ignore[arg-type]
    return ranks


def require_factorable(network: nn.Module, percent: int) -> None:
    """Ask before any work is done.

    Raises:
        Unsupported: As :func:`factorize`.
    """
    _factorable(network, percent)


def _factorable(network: nn.Module, percent: int) -> dict[str, nn.Linear]:
    layers = {
        name: layer
        for name, layer in network.named_modules()
        if type(layer) in LINEAR and isinstance(layer, nn.Linear) and _rank(layer, percent) and min(layer.weight.shape) >= MIN_SIDE
    }
    if not layers:
        message = f"{type(network).__name__} has no linear layer of {MIN_SIDE} inputs and outputs or more"
        raise Unsupported("no-linear-layers", message, "choose another compressor")
    return layers


def _rank(layer: nn.Linear, percent: int) -> int:
    """The highest rank whose factors hold no more than the share of the layer's weights."""
    return layer.in_features * layer.out_features * percent // (100 * (layer.in_features + layer.out_features))


def _nearest_outputs(layer: nn.Linear, rank: int, moments: Moments) -> FactoredLinear:
    weight = layer.weight.detach().double().cpu()
    root = torch.linalg.cholesky(moments.damped())
    left, values, right = torch.linalg.svd(weight @ root, full_matrices=False)
    scale = values[:rank].sqrt()
    up = left[:, :rank] * scale
    down = torch.linalg.solve_triangular(root, scale[:, None] * right[:rank], upper=False, left=False)
    bias = layer.bias
    if bias is not None:
        bias = nn.Parameter((bias.double().cpu() + (weight - up @ down) @ moments.mean).to(bias), requires_grad=False)
    return FactoredLinear(down.to(layer.weight), up.to(layer.weight), bias)
