"""timm's architectures, known by their bare names."""

import warnings
from collections.abc import Mapping
from typing import Any, Final, final

import timm
from timm.models import get_pretrained_cfg, is_model, is_model_pretrained, list_models, split_model_name_tag
from torch import nn

from efficient360.core.close_names import close_names
from efficient360.errors import CheckpointError
from efficient360.models.libraries.library import Library, Published

NORM_EPS: Final = "layer_norm_eps"
"""An argument of ours beside timm's: the ε of every LayerNorm, which timm takes only as code, not as data."""

# What timm.create_model takes beside the architecture's own arguments. A sidecar may be a stranger's: it must not load another file.
_RESERVED: Final = frozenset(
    {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "features_only", "pruned", "scriptable"}
)


@final
class TimmLibrary(Library):
    """timm: every name without the mark of another library is one of its."""

    @property
    def name(self) -> str:
        return f"timm {timm.__version__}"

    def owns(self, architecture: str) -> bool:
        return ":" not in architecture

    def require(self, architecture: str) -> None:
        if is_model(architecture):
            return
        close = close_names(architecture, self.names())
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() lists the names"
        raise CheckpointError("unknown-architecture", f"{self.name} has no architecture {architecture!r}", hint)

    def names(self) -> tuple[str, ...]:
        return tuple(list_models())

    def create(self, architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
        given = {key: value for key, value in arguments.items() if key != NORM_EPS}
        reserved = _RESERVED & given.keys()
        if reserved:
            raise CheckpointError(
                "architecture-arguments",
                f"{architecture} can't be built with {', '.join(sorted(reserved))}: that says where weights come from or takes the head away",
                "leave it out",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = timm.create_model(architecture, pretrained=False, **given)
        if NORM_EPS in arguments:
            for module in network.modules():
                if isinstance(module, nn.LayerNorm):
                    module.eps = float(arguments[NORM_EPS])
        return network

    def defaults(self, architecture: str) -> Mapping[str, Any]:
        """Timm's pretrained configuration of an architecture or ``architecture.tag``; empty where it has none."""
        try:
            config = get_pretrained_cfg(architecture, allow_unregistered=True)
        except RuntimeError:
            # timm's answer to an unknown tag of a known architecture.
            return {}
        return {} if config is None else dict(config.to_dict())

    def published(self, reference: str) -> Published | None:
        architecture, tag = split_model_name_tag(reference)
        if "/" in reference or not is_model(architecture):
            return None
        config = self.defaults(reference)
        if tag and not config:
            known = tuple(list_models(f"{architecture}.*", include_tags=True))
            close = close_names(reference, known) or known[:3]
            raise CheckpointError("unknown-tag", f"timm's {architecture} has no pretrained tag {tag!r}", f"it has {', '.join(close) or 'none'}")
        if not is_model_pretrained(reference):
            return Published(architecture, config)
        named = config.get("hf_hub_filename")
        return Published(architecture, config, str(config.get("hf_hub_id") or ""), (named,) if named else (), str(config.get("url") or ""))

    def source(self, architecture: str) -> str:  # timm's version is among the libraries'
        return ""
