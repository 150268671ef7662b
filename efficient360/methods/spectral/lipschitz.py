"""Lipschitz constants: the product of spectral norms, an upper bound for a plain chain of layers only, and the norm of the Jacobian at an image.

And what is built on the product: spectrally-normalised complexity and margins (Bartlett, Foster & Telgarsky 2017).
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from efficient360.methods.spectral.layer_spectra import LayerSpectrum
from efficient360.models.model import TorchModel

ELEMENTWISE_CONSTANTS: Final = {
    "Identity": 1.0,
    "Dropout": 1.0,
    "Flatten": 1.0,
    "ReLU": 1.0,
    "LeakyReLU": 1.0,
    "Tanh": 1.0,
    "Sigmoid": 1.0,
    "Softplus": 1.0,
    "GELU": 1.1290,
    "GELUActivation": 1.1290,
    "SiLU": 1.0999,
}
"""Lipschitz constants of element-wise modules, by class name; rounded up."""
_FUNCTIONS: Final = {"relu": 1.0, "gelu": 1.1290}
"""The same of the functions that torch's encoder layer takes for an activation."""
CHAIN_MODULES: Final = (nn.Sequential, nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, _BatchNorm)


@final
@dataclass(frozen=True)
class NormProduct:
    """Product of the Lipschitz constants of all layers.

    Args:
        log10: Decimal logarithm of the product of all spectral norms, scales and activation slopes, from pixels in [0, 1] to logits.
        zero_layer: Name of a layer that is zero, and with it the product; ``""`` where there is none.
        unbounded: Class names and counts of the modules that the product does not account for. If there are none, it is an upper bound.
    """

    log10: float
    zero_layer: str
    unbounded: tuple[tuple[str, int], ...]

    @property
    def is_bound(self) -> bool:
        """Whether it is an upper bound of the network's Lipschitz constant."""
        return not self.unbounded


def norm_product(network: nn.Module, layers: Sequence[LayerSpectrum], std: Tensor) -> NormProduct:
    """Multiply the spectral norms of all layers, the scales of batch norms and layer scales, the slopes of activations, and 1 / ``std`` of the input.

    Args:
        network: In eval mode, where a batch norm is a fixed scale.
        layers: Its layers.
        std: Standard deviation that pixels are divided by.
    """
    factors = [("normalisation", 1 / float(std.min())), *((layer.name, layer.spectrum.spectral_norm) for layer in layers), *_scales(network)]
    zero_layer = next((name for name, factor in factors if factor == 0), "")
    log10 = sum(math.log10(factor) for _, factor in factors if factor > 0)
    return NormProduct(log10, zero_layer, tuple(Counter(_unbounded_modules(network)).most_common()))


def _scales(network: nn.Module) -> Iterator[tuple[str, float]]:
    with torch.no_grad():
        for name, module in network.named_modules():
            gamma = getattr(module, "gamma", None)
            if isinstance(module, _BatchNorm) and module.running_var is not None:
                weight = torch.ones_like(module.running_var) if module.weight is None else module.weight
                yield name, float((weight.abs() / (module.running_var + module.eps).sqrt()).max())
            elif type(module).__name__.startswith("LayerScale") and isinstance(gamma, Tensor):
                yield name, float(gamma.abs().max())
            elif (slope := ELEMENTWISE_CONSTANTS.get(type(module).__name__)) is not None:
                yield name, slope
            elif isinstance(module, nn.TransformerEncoderLayer) and (slope := _FUNCTIONS.get(getattr(module.activation, "__name__", ""))) is not None:
                yield f"{name}.activation", slope


def _unbounded_modules(network: nn.Module) -> Iterator[str]:
    """Class names of modules that are neither part of a plain chain nor element-wise: attention, normalisation over features, blocks with skip connections."""
    for module in network.modules():
        if not isinstance(module, CHAIN_MODULES) and type(module).__name__ not in ELEMENTWISE_CONSTANTS:
            yield type(module).__name__


def log10_spectral_complexity(log10_product: float, layers: Sequence[LayerSpectrum]) -> float:
    """Decimal logarithm of the spectral complexity R (Bartlett et al. 2017, Eq. 1.2), with zero reference matrices.

    ``R = (Π ρ_i ‖A_i‖) · (Σ (‖A_iᵀ‖_2,1 / ‖A_i‖)^⅔)^(3/2)``: ‖·‖ the spectral norm, ρ the Lipschitz constants of the activations, ‖Aᵀ‖_2,1 the sum of the
    norms of the rows of A, those of one position where weights are shared.

    Args:
        log10_product: Decimal logarithm of the first factor.
        layers: None of them zero.
    """
    spread = sum((layer.spectrum.row_norm_sum / layer.spectrum.spectral_norm) ** (2 / 3) for layer in layers)
    return log10_product + 1.5 * math.log10(spread)


def classification_margins(logits: NDArray[Any], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The true class's logit minus the largest other logit, float64 ``(n,)``: negative where the prediction is wrong.

    Args:
        logits: ``(n, K)``, at least two classes.
        labels: int64 ``(n,)``.
    """
    others = np.asarray(logits, dtype=np.float64).copy()
    rows = np.arange(len(labels))
    true = others[rows, labels]
    others[rows, labels] = -np.inf
    margins: NDArray[np.float64] = true - others.max(1)
    return margins


def log10_normalised_margin(margin: float, log10_complexity: float, rms_input_norm: float, n: int) -> float:
    """Decimal logarithm of a margin normalised by R ‖X‖₂ / n (Bartlett et al. 2017, Sec. 2).

    Args:
        margin: Positive.
        log10_complexity: From :func:`log10_spectral_complexity`.
        rms_input_norm: Root mean square of the Euclidean norm of an input; ‖X‖₂ is this times √n.
        n: Number of training examples.
    """
    return math.log10(margin) - log10_complexity - math.log10(rms_input_norm / math.sqrt(n))


def jacobian_norms(model: TorchModel, images: Tensor, starts: Tensor, steps: int) -> Tensor:
    """Spectral norm of the Jacobian from pixels in [0, 1] to logits at each image (the local Lipschitz constant), float64 ``(B,)``.

    With at most ``steps`` classes the whole Jacobian is computed, one backward pass per class; otherwise Lanczos' method takes that many pairs of a backward
    and a forward derivative (Golub & Kahan 1965) and converges from below. Attention runs unfused: the fused kernels have no forward derivative.

    Args:
        model: A network in torch.
        images: ``(B, 3, H, W)``.
        starts: Starting vectors of the iteration, ``(B, K)``, none of them zero.
        steps: At least 1.

    Raises:
        RuntimeError: An operator of the network has no derivative (``NotImplementedError`` is one).
    """
    images = images.to(model.device)
    with sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
        if model.num_classes <= steps:
            return _exact_jacobian_norms(model, images)
        return _lanczos_jacobian_norms(model, images, starts.to(images.device).double(), steps)


def _exact_jacobian_norms(model: TorchModel, images: Tensor) -> Tensor:
    images = images.detach().clone().requires_grad_(True)
    logits = model(images)
    rows = [torch.autograd.grad(logits[:, k].sum(), images, retain_graph=True)[0].flatten(1) for k in range(logits.shape[1])]
    jacobian = torch.stack(rows, dim=1).double()
    squares: Tensor = torch.linalg.eigvalsh(jacobian @ jacobian.mT)[:, -1]
    return squares.clamp_min(0).sqrt().detach().cpu()


def _lanczos_jacobian_norms(model: TorchModel, images: Tensor, starts: Tensor, steps: int) -> Tensor:
    """Lanczos' method on J Jᵀ for all images at once, with full reorthogonalisation."""
    pullback: Any = vjp(model, images)
    transpose = pullback[1]
    tridiagonal = torch.zeros(len(images), steps, steps, dtype=torch.float64, device=images.device)
    basis = [starts / starts.norm(dim=1, keepdim=True)]
    for step in range(steps):
        (pixels,) = transpose(basis[-1].to(images.dtype))
        image = jvp(model, (images,), (pixels,))[1].double()
        tridiagonal[:, step, step] = (image * basis[-1]).sum(1)
        if step == steps - 1:
            break
        previous = torch.stack(basis, dim=1)
        for _ in range(2):  # once leaves rounding errors, twice is enough (Parlett 1980)
            image = image - (previous.mT @ (previous @ image[:, :, None]))[:, :, 0]
        norm = image.norm(dim=1)
        # Once the Krylov space is exhausted only rounding errors remain: from there on this image's iteration stops.
        active = norm > 1e-6 * tridiagonal.diagonal(dim1=1, dim2=2).abs().amax(1)
        norm = torch.where(active, norm, torch.zeros_like(norm))
        tridiagonal[:, step, step + 1] = tridiagonal[:, step + 1, step] = norm
        basis.append(image / torch.where(active, norm, torch.full_like(norm, torch.inf))[:, None])
    squares: Tensor = torch.linalg.eigvalsh(tridiagonal)[:, -1]
    return squares.clamp_min(0).sqrt().detach().cpu()
