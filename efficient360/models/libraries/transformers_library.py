"""The image classifiers of ``transformers``, known as ``transformers:`` and the name of their class."""

import contextlib
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from efficient360.core.close_names import close_names
from efficient360.errors import CheckpointError
from efficient360.models.adapters import MARK, merge
from efficient360.models.libraries.library import Library, Published
from efficient360.models.libraries.transformers_config import NOT_OF_IMAGES, PREFIX, arguments_from, classifiers, config_class
from efficient360.models.libraries.transformers_import import has_transformers, require_transformers

CHANNEL_ORDER: Final = "channel_order"
"""An argument of ours beside the configuration's: ``bgr`` where the network takes blue first."""
CLASSIFIERS: Final = ("classifier", "classifier.linear", "classifier.1", "cls_classifier", "head", "fc")
"""Dotted names that the library's classifiers have."""
_POOLER: Final = ".pooler."
"""What classification never uses, and files of older versions hold."""
_OURS: Final = ("num_classes", "img_size", "in_chans", CHANNEL_ORDER)


class OfTransformers(Library):
    """One kind of models of ``transformers``, whose names begin with a prefix of its own."""

    @property
    @abstractmethod
    def prefix(self) -> str:
        """What its names begin with; the name of the class follows."""

    @abstractmethod
    def model_type(self, name: str) -> str:
        """The type of the configurations of a class; ``""`` where it is none of these models."""

    @property
    def name(self) -> str:
        require_transformers("an architecture of transformers")
        import transformers

        return f"transformers {transformers.__version__}"

    @property
    def renames(self) -> bool:
        return True

    def owns(self, architecture: str) -> bool:
        return architecture.startswith(self.prefix)

    def names(self) -> tuple[str, ...]:
        return ()  # listed only where one is asked for: importing the library takes seconds

    def published(self, reference: str) -> Published | None:
        return Published(reference) if self.owns(reference) else None

    def source(self, architecture: str) -> str:
        return ""

    def usual_size(self, architecture: str) -> tuple[int, int] | None:
        """Height and width of the images that a class's own configuration says; ``None`` where none does, or the library is not installed."""
        model_type = self.model_type(architecture.removeprefix(self.prefix)) if has_transformers() else ""
        return image_size_of(config_class(model_type)().to_dict()) if model_type else None


@final
class TransformersLibrary(OfTransformers):
    """transformers: each class behind ``AutoModelForImageClassification``, built from plain data, never from code or weights that a file names."""

    @property
    def prefix(self) -> str:
        return PREFIX

    def model_type(self, name: str) -> str:
        return classifiers().get(name, "")

    def require(self, architecture: str) -> None:
        name = architecture.removeprefix(PREFIX)
        known = classifiers()
        if name not in known:
            close = close_names(name, tuple(known))
            hint = f"did you mean {' or '.join(PREFIX + c for c in close)}?" if close else f"known are {', '.join(list(known)[:5])} …"
            raise CheckpointError("unknown-architecture", f"{self.name} has no image classifier {name!r}", hint)
        if name in NOT_OF_IMAGES:
            raise CheckpointError("transformers-not-images", f"transformers' {name} {NOT_OF_IMAGES[name]}", "evaluate a checkpoint that takes images")

    def create(self, architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
        """The classifier of a configuration with these fields.

        ``num_classes`` stands for ``num_labels``, ``img_size`` for ``image_size``, also of a vision tower.
        """
        import transformers

        name = architecture.removeprefix(PREFIX)
        model_type = classifiers()[name]
        given = {key: value for key, value in arguments.items() if key not in _OURS}
        fields = arguments_from(given, model_type)
        if unknown := sorted(given.keys() - fields.keys()):
            raise CheckpointError(
                "architecture-arguments", f"{name} has no setting {', '.join(unknown)}", f"settings are those of its {model_type} config.json"
            )
        if arguments.get("img_size") is not None:
            fields = _resized(fields, arguments["img_size"])
        labels = {} if arguments.get("num_classes") is None else {"num_labels": int(arguments["num_classes"])}
        with quietly():
            network: nn.Module = getattr(transformers, name)(config_class(model_type)(**fields, **labels))
        order = arguments.get(CHANNEL_ORDER, "rgb")
        if order not in ("rgb", "bgr"):
            raise CheckpointError("architecture-arguments", f"{CHANNEL_ORDER} is {order!r}", f"--arch-arg {CHANNEL_ORDER}=bgr or rgb")
        if order == "bgr":
            network.register_forward_pre_hook(_blue_first)
        return network

    def defaults(self, architecture: str) -> Mapping[str, Any]:
        if not has_transformers() or not self.model_type(architecture.removeprefix(PREFIX)):
            return {}
        size = self.usual_size(architecture)
        return {"classifier": CLASSIFIERS} | ({} if size is None else {"input_size": (3, *size)})


def image_size_of(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width of the images that a configuration, or its vision tower's, says; ``None`` where it doesn't."""
    inner = config.get("vision_config")
    size = config.get("image_size", inner.get("image_size") if isinstance(inner, Mapping) else None)
    both = (size, size) if isinstance(size, int) else size
    if isinstance(both, list | tuple) and len(both) == 2 and all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in both):
        return int(both[0]), int(both[1])
    return None


def own_tensors(network: nn.Module, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors under the names that a network of this library has, as the library's own loader brings them there.

    It knows the names of older versions of the library, those of the base model alone, and layouts that changed since.

    Args:
        network: Made by :meth:`TransformersLibrary.create`; only its class and its configuration are looked at.
        tensors: What a file holds.

    Returns:
        As many of the network's tensors as were found, in the format that they are stored in, those of an adapter merged, and under their own names those
        that it has no use for.

    Raises:
        CheckpointError: An adapter does not fit.
    """
    adapter = {name: tensor for name, tensor in tensors.items() if name.startswith(MARK)}
    base = {name: tensor for name, tensor in tensors.items() if name not in adapter}
    with quietly(), torch.random.fork_rng(devices=[]):
        # It draws what it does not find.
        found: Any = type(network).from_pretrained(  # type: ignore[attr-defined]
            None, config=network.config, state_dict=base, output_loading_info=True, ignore_mismatched_sizes=True, dtype="auto"
        )
    loaded, told = found
    of_other_shape = {name: torch.empty(shape, device="meta") for name, shape, _ in told["mismatched_keys"]}
    own = {name: tensor for name, tensor in loaded.state_dict().items() if name not in told["missing_keys"] and name not in of_other_shape}
    if adapter:
        return merge(own, adapter, partial(_renamed, loaded), "the adapter")
    unused = {name: base[name] for name in told["unexpected_keys"] if name in base and _POOLER not in f".{name}"}
    return own | of_other_shape | unused


def _renamed(network: Any, name: str) -> str:
    """The name that a tensor has in the installed version of the library."""
    own = network.state_dict()
    if name in own:
        return name
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightRenaming, rename_source_key

    renamings = [entry for entry in get_model_conversion_mapping(network) or [] if isinstance(entry, WeightRenaming)]
    new, _ = rename_source_key(name, renamings, [], network.base_model_prefix, own)
    return str(new)


def is_of_transformers(network: nn.Module) -> bool:
    """Whether a network is one of this library's."""
    return type(network).__module__.startswith("transformers.")


def _blue_first(_network: nn.Module, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (images[0].flip(1), *images[1:])


def _resized(fields: Mapping[str, Any], size: Any) -> dict[str, Any]:
    sides = list(size) if isinstance(size, list | tuple) else size
    if isinstance(fields.get("vision_config"), Mapping):
        return {**fields, "vision_config": {**fields["vision_config"], "image_size": sides}}
    return {**fields, "image_size": sides}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the library's warnings and reports, which tell its own users what they could do."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
