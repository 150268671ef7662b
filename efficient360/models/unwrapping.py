"""The state dict inside what a training script saved: wrappers, prefixes, and the choice between plain and EMA weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from efficient360.core.reading import shown
from efficient360.errors import CheckpointError

PLAIN_KEYS = ("state_dict", "model_state_dict", "model", "net", "weights")
EMA_KEYS = ("state_dict_ema", "model_ema", "model_ema_state_dict", "ema_state_dict", "ema")
PREFIXES = ("module.", "_orig_mod.", "model.", "timm_model.")
_LAYERS = 4


def unwrap(loaded: Any, ema: bool, path: Path) -> tuple[dict[str, Tensor], str, str]:
    """The tensors by name, without wrapper and without prefixes that all names share.

    Args:
        loaded: What the file held.
        ema: Take the exponential moving average's weights.
        path: The file, for messages.

    Returns:
        The tensors, the wrapper's key they were taken from, and the key of the weights that were left.

    Raises:
        CheckpointError: There is no state dict, no EMA though one is asked for, or nothing but an EMA though none is.
    """
    if not isinstance(loaded, Mapping):
        raise CheckpointError("no-state-dict", f"{path} holds {type(loaded).__name__}, not a state dict", "save model.state_dict()")
    plain = next((key for key in PLAIN_KEYS if isinstance(loaded.get(key), Mapping)), "")
    average = next((key for key in EMA_KEYS if isinstance(loaded.get(key), Mapping)), "")
    averaged = "n_averaged" in loaded
    if ema and not average and not averaged:
        raise CheckpointError("no-ema-weights", f"{path} has no EMA weights, only {_keys(loaded)}", "leave out --ema")
    if average and not plain and not ema and not _is_state_dict(loaded):
        raise CheckpointError("only-ema-weights", f"{path} has only EMA weights, under {average!r}", "ask for them with --ema")
    taken = average if ema else plain
    other = (plain if ema else average) if taken else ""
    inner: Any = loaded[taken] if taken else loaded
    for _ in range(_LAYERS):
        # Libraries nest once more: {"model": {"state_dict": …}}.
        nested = next((key for key in PLAIN_KEYS if isinstance(inner.get(key), Mapping)), None)
        if nested is None:
            break
        inner = inner[nested]
    return strip_prefixes(_tensors(inner, path)), taken, other


def strip_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the prefixes that all names share (``module.``, ``model.``, ``_orig_mod.``).

    ``n_averaged``, the counter of ``torch.optim.swa_utils.AveragedModel``, goes with the prefix.
    """
    stripped = dict(tensors)
    if "n_averaged" in stripped and all(name.startswith("module.") for name in stripped if name != "n_averaged"):
        del stripped["n_averaged"]
    while stripped:
        prefix = next((p for p in PREFIXES if all(name.startswith(p) and len(name) > len(p) for name in stripped)), None)
        if prefix is None:
            break
        stripped = {name.removeprefix(prefix): tensor for name, tensor in stripped.items()}
    return stripped


def _tensors(inner: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    if not inner:
        raise CheckpointError("no-state-dict", f"{path} holds no tensors", "save model.state_dict()")
    wrong = [key for key, value in inner.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if wrong:
        kind = type(inner[wrong[0]]).__name__
        raise CheckpointError(
            "no-state-dict",
            f"{path} holds no plain state dict: {shown(wrong[0])} holds {kind}, not a tensor (found {_keys(inner)})",
            f"save model.state_dict(), alone or under one of {', '.join(PLAIN_KEYS)}",
        )
    return dict(inner)


def _is_state_dict(loaded: Mapping[Any, Any]) -> bool:
    return all(isinstance(value, Tensor) for value in loaded.values())


def _keys(loaded: Mapping[Any, Any]) -> str:
    names = [shown(key) for key in list(loaded)[:5]]
    more = f" and {len(loaded) - 5} more" if len(loaded) > 5 else ""
    return ", ".join(names) + more
