"""What timm's networks state of themselves: it is believed, so that their numbers stay what they were."""

from typing import Any

from torch import nn

from efficient360.models.view.layout import TokenLayout


def is_from_timm(network: nn.Module) -> bool:
    """Whether timm wrote the network's class."""
    return type(network).__module__.partition(".")[0] == "timm"


def stated_classifier(network: nn.Module) -> tuple[bool, Any]:
    """Whether a network states its classifier by ``get_classifier``, as timm's do, and what it states."""
    get: Any = getattr(network, "get_classifier", None)
    return (True, get()) if callable(get) else (False, None)


def stated_grid(network: nn.Module) -> tuple[int, int] | None:
    """Rows and columns of the patches that the patch embedding states; ``None`` where none does."""
    size: Any = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return (int(size[0]), int(size[1])) if isinstance(size, tuple | list) and len(size) == 2 else None


def stated_layout(network: nn.Module, count: int) -> TokenLayout | None:
    """The layout of ``count`` tokens in the last blocks, where the network states patches and tokens before them that add up to as many."""
    grid, prefix = stated_grid(network), getattr(network, "num_prefix_tokens", None)
    if grid is None or not isinstance(prefix, int) or prefix + grid[0] * grid[1] != count:
        return None
    reads_first = prefix > 0 and getattr(network, "global_pool", "token") == "token"
    return TokenLayout(*grid, prefix=prefix, class_token=0 if reads_first else None)
