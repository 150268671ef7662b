"""MC dropout and stochastic depth at test time, with masks that depend on the example and not on its batch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from efficient360.core.batch import Batch
from efficient360.core.seeding import generators
from efficient360.errors import Unsupported
from efficient360.methods.uncertainty.predictive_distribution import PredictiveDistribution, average_members
from efficient360.models.model import TorchModel
from efficient360.models.view.recording import AttentionMap, recording

_ATTENTION_RATES: Final = ("attention_dropout", "dropout_prob", "attn_dropout")
"""Where transformers' attention layers keep the probability with which they drop attention probabilities."""


def active_dropout_layers(network: nn.Module) -> list[nn.Module]:
    """Dropout layers with a positive probability, among them attention that drops its own probabilities, as :class:`torch.nn.MultiheadAttention` does.

    Raises:
        Unsupported: There are none.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Dropout) or _own_attention_dropout(layer) is not None]
    return _require_active(layers, [layer for layer in layers if _drop_rate(layer) > 0], "dropout", "drop_rate")


def active_drop_path_layers(network: nn.Module) -> list[nn.Module]:
    """Stochastic-depth layers with a positive probability: timm's and transformers' ``DropPath``, torchvision's ``StochasticDepth``.

    Raises:
        Unsupported: There are none.
    """
    layers = [layer for layer in network.modules() if type(layer).__name__.endswith(("DropPath", "StochasticDepth"))]
    return _require_active(layers, [layer for layer in layers if _drop_rate(layer) > 0], "stochastic-depth", "drop_path_rate")


def _require_active(layers: Sequence[nn.Module], active: list[nn.Module], technique: str, argument: str) -> list[nn.Module]:
    if not active:
        title = technique.replace("-", " ")
        reason = f"all {len(layers)} {title} layers have probability 0" if layers else f"the network has no {title}"
        hint = f"if it was trained with {title}, give its rate: --arch-arg {argument}=RATE"
        raise Unsupported(f"no-{technique}", f"{reason}: every forward pass would give the same prediction", hint)
    return active


def _drop_rate(layer: Any) -> float:
    """The probability with which a layer drops."""
    own = _own_attention_dropout(layer)
    return own if own is not None else float(getattr(layer, "drop_prob", None) or getattr(layer, "p", None) or 0.0)


def _own_attention_dropout(layer: nn.Module) -> float | None:
    """The probability with which an attention layer drops probabilities without a layer for it; ``None`` for any other layer."""
    if isinstance(layer, nn.MultiheadAttention):
        return float(layer.dropout)
    rate = next((rate for name in _ATTENTION_RATES if isinstance(rate := getattr(layer, name, None), float)), None)
    return rate if "attention" in type(layer).__name__.lower() else None


@contextmanager
def sampling_enabled(network: nn.Module, layers: Sequence[nn.Module], rngs: Sequence[np.random.Generator]) -> Iterator[None]:
    """Enable these layers as in training (Gal & Ghahramani 2016; Huang et al. 2016) for one forward pass; the network stays in eval mode.

    Masks are drawn example by example, so they depend only on the example's own generator. Fused attention is replaced by the explicit computation
    where its dropout is among the layers, since the fused operator skips it in eval mode.

    Args:
        network: The network that will be run.
        layers: From :func:`active_dropout_layers` or :func:`active_drop_path_layers`.
        rngs: A generator for each example of the batch.

    Raises:
        Unsupported: From the forward pass: a layer whose first axis is not a multiple of the batch.
    """
    attentions: list[Any] = [m for m in network.modules() if any(getattr(m, "attn_drop", None) is layer for layer in layers)]
    fused = [module for module in attentions if getattr(module, "fused_attn", False)]
    drops_own = {layer for layer in layers if _own_attention_dropout(layer) is not None}
    masks = {layer: _mask(layer, rngs) for layer in layers}

    def drop(made: AttentionMap) -> Tensor | None:
        """Mask the probabilities of attention that has no layer for it."""
        return masks[made.module](made.probabilities) if made.module in drops_own else None

    with ExitStack() as stack:
        for module in fused:
            module.fused_attn = False
            stack.callback(setattr, module, "fused_attn", True)
        for layer in layers:
            if layer not in drops_own:
                stack.enter_context(layer.register_forward_hook(lambda module, _inputs, output: masks[module](output)))
        if drops_own:
            stack.enter_context(recording(network, drop))
        yield


def _mask(layer: Any, rngs: Sequence[np.random.Generator]) -> Callable[[Tensor], Tensor]:
    whole_path = not isinstance(layer, nn.Dropout) and _own_attention_dropout(layer) is None
    keep = 1.0 - _drop_rate(layer)
    scale = 1.0 / keep if keep > 0 and getattr(layer, "scale_by_keep", True) else 1.0

    def masked(output: Tensor) -> Tensor:
        """Mask the layer's output, each example with its own mask."""
        rows, rest = divmod(len(output), len(rngs))
        if rest or not rows:
            message = f"a dropout layer outputs {len(output)} rows for {len(rngs)} examples, which cannot be assigned to examples"
            raise Unsupported("unknown-layout", message, "no setting helps: exclude the uncertainty evaluator")
        shape = (rows, *([1] * (output.ndim - 1) if whole_path else output.shape[1:]))
        kept = np.concatenate([rng.random(shape, dtype=np.float32) < keep for rng in rngs])
        return output * (torch.from_numpy(kept).to(output) * scale)

    return masked


def mc_predictive_rows(model: TorchModel, layers: Sequence[nn.Module], method: str, passes: int, check: Callable[[], None]) -> Callable[[Batch], NDArray[Any]]:
    """A function from a batch to one row per example: mean probabilities and expected entropy over stochastic passes, float64 ``(B, K + 1)``.

    Args:
        model: The model.
        layers: Layers that are enabled.
        method: Salt of the masks.
        passes: Number of stochastic forward passes.
        check: Called before each; may raise.
    """

    def rows(batch: Batch) -> NDArray[Any]:
        predictive = average_members(stochastic_logits(batch, index) for index in range(passes))
        return np.concatenate([predictive.probability, predictive.expected_entropy[:, None]], axis=1)

    def stochastic_logits(batch: Batch, index: int) -> NDArray[Any]:
        check()
        with torch.inference_mode(), sampling_enabled(model.network, layers, generators(f"{method} {index}", batch.ids, batch.seed)):
            logits: NDArray[Any] = model(batch.images).cpu().numpy()
            return logits

    return rows


def predictive_from_rows(rows: NDArray[Any]) -> PredictiveDistribution:
    """The predictive distribution in rows of :func:`mc_predictive_rows`, ``(n, K + 1)``."""
    return PredictiveDistribution(rows[:, :-1], rows[:, -1])
