"""A ``config.json`` of ``transformers`` as arguments of an architecture: what the installed library builds a network by, and nothing else."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from efficient360.core.reading import shown
from efficient360.errors import CheckpointError
from efficient360.models.libraries.transformers_import import require_transformers

PREFIX: Final = "transformers:"
"""How the names of these architectures begin; the class's name follows."""
NOT_OF_IMAGES: Final = {
    "ImageGPTForImageClassification": "takes colours of a palette as tokens, not images",
    "ShieldGemma2ForImageClassification": "takes a text beside each image",
    "Siglip2ForImageClassification": "takes patches of images of any shape, not images of one size",
    "TimmWrapperForImageClassification": "is timm's own network in a wrapper",
}
"""Classifiers of the library that are no functions of an image of one size, each with the reason."""
_PLUMBING: Final = frozenset(
    [
        "architectures",
        "attn_implementation",
        "auto_map",
        "dtype",
        "experts_implementation",
        "fusion_config",
        "id2label",
        "is_encoder_decoder",
        "label2id",
        "name_or_path",
        "num_labels",
        "output_attentions",
        "output_hidden_states",
        "problem_type",
        "quantization_config",
        "return_dict",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "use_kernels",
    ]
)
"""Fields that say how a network is loaded or called, or name its classes: no business of how it is built."""


def classifiers() -> dict[str, str]:
    """Model type by class, of every image classifier of the installed library, sorted."""
    require_transformers("an architecture of transformers")
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as MAPPING

    pairs = ((name, kind) for kind, names in MAPPING.items() for name in ((names,) if isinstance(names, str) else names))
    return dict(sorted(pairs))


def classifier_of(model_type: str) -> str:
    """The class of image classifiers of a model type, the first where it has several; ``""`` where it has none."""
    return next((name for name, kind in classifiers().items() if kind == model_type), "")


def config_class(model_type: str) -> Any:
    """The class of the configurations of a model type of the installed library.

    Raises:
        CheckpointError: It has no such type.
    """
    require_transformers("an architecture of transformers")
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if model_type not in CONFIG_MAPPING:
        raise CheckpointError(
            "transformers-model-type", f"transformers {transformers.__version__} has no model type {shown(model_type)}", "update transformers"
        )
    return CONFIG_MAPPING[model_type]


def arguments_from(config: Mapping[str, Any], model_type: str) -> dict[str, Any]:
    """The fields of a ``config.json`` that the library's class of configurations declares, as plain data.

    What only says how to load, where code or other weights are to be had, and what no class declares, is left out.

    Raises:
        CheckpointError: The installed library has no such model type.
    """
    cls = config_class(model_type)
    declared = {field.name for field in dataclasses.fields(cls)} | set(cls.attribute_map) | set(getattr(cls, "sub_configs", {}))
    return {key: _cleaned(value) for key, value in config.items() if key in declared and _builds(key)}


def _cleaned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _cleaned(inner) for key, inner in value.items() if _builds(key)}
    return [_cleaned(inner) for inner in value] if isinstance(value, list) else value


def _builds(key: Any) -> bool:
    return key not in _PLUMBING and not str(key).startswith("_")
