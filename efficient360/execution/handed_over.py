"""What a program hands over in memory, networks, data and evaluators, made into what a session opens in place of references."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from efficient360.datasets.in_memory import Normalisation, Supplied
from efficient360.datasets.transforms import normalisation_of, preprocessing_of_transform, split_transform
from efficient360.errors import CheckpointError, SettingsError
from efficient360.evaluator import Evaluator, ExampleEvaluator
from efficient360.execution.session import InMemory
from efficient360.models.checkpoint import Preprocessing
from efficient360.models.preprocessing import preprocessing_of_timm
from efficient360.models.sidecar import preprocessing_values
from efficient360.models.weights import digest


def hand_over(
    model: Any,
    dataset: Any,
    training: Any,
    transform: Callable[[Any], Any] | None,
    preprocessing: Preprocessing | Mapping[str, Any] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    class_names: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None,
    evaluators: Mapping[str, Evaluator | ExampleEvaluator],
) -> InMemory:
    """The arguments of :func:`efficient360.api.evaluate` that no plan can name.

    Raises:
        CheckpointError: The model is neither a network nor a reference, or nothing tells how it wants its images.
        SettingsError: Arguments that don't go together.
        DatasetError: The data hold no images.
    """
    data = _data_in_memory(dataset, training, transform, mean, std, tuple(class_names), groups)
    network, shape = _network_in_memory(model, dataset, data, transform, _spelt_out(preprocessing), mean, std)
    return InMemory(network, shape, () if network is None else tuple(class_names), data, evaluators)


def folder_name(network: nn.Module) -> str:
    """Name of a run's folder for a network: its class and the begin of its weights' digest."""
    return f"{type(network).__name__}-{digest(network.state_dict())[:8]}"


def _spelt_out(preprocessing: Preprocessing | Mapping[str, Any] | None) -> Preprocessing | None:
    if not isinstance(preprocessing, Mapping):
        return preprocessing
    values = preprocessing_values(preprocessing, "the preprocessing given")
    if missing := [name for name in ("input_size", "mean", "std") if name not in values]:
        message = f"the preprocessing of a network in memory lacks {', '.join(missing)}"
        raise CheckpointError("no-preprocessing", message, 'give {"input_size": 32, "mean": 0.5, "std": 0.5}, as in training')
    return Preprocessing(**values)


def _network_in_memory(
    model: Any,
    dataset: Any,
    data: Supplied | None,
    transform: Callable[[Any], Any] | None,
    preprocessing: Preprocessing | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
) -> tuple[nn.Module | None, Preprocessing | None]:
    """The network that was given, with what is known of how it wants its images."""
    if not isinstance(model, nn.Module):
        if not isinstance(model, str | Path):
            raise CheckpointError("not-a-model", f"{type(model).__name__} is no checkpoint", "give a name, a path to weights, or a torch.nn.Module")
        return None, None
    timm_shape = preprocessing_of_timm(model)
    if preprocessing is None and isinstance(dataset, str | Path) and transform is not None:
        preprocessing = preprocessing_of_transform(transform)
    elif preprocessing is None and data is not None and (size := data.image_size()) is not None:
        moved = data.normalisation
        preprocessing = Preprocessing(size, *((moved.mean, moved.std) if moved is not None else ((0.0,) * 3, (1.0,) * 3)))
    preprocessing = preprocessing or timm_shape
    if preprocessing is None:
        message = f"nothing tells how {type(model).__name__} wants its images"
        raise CheckpointError("no-preprocessing", message, "give transform=, as in training, or preprocessing=Preprocessing(input_size, mean, std)")
    if mean is not None and std is not None:
        preprocessing = dataclasses.replace(preprocessing, mean=tuple(map(float, mean)), std=tuple(map(float, std)))
    return model, preprocessing


def _data_in_memory(
    dataset: Any,
    training: Any,
    transform: Callable[[Any], Any] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    class_names: tuple[str, ...],
    groups: Mapping[str, Sequence[str]] | None,
) -> Supplied | None:
    if dataset is None or isinstance(dataset, str | Path):
        if training is not None or groups is not None:
            raise SettingsError("bad-option", "training and groups in memory go with a data set in memory", "give dataset in memory, too")
        return None
    geometry, normalisation = (None, normalisation_of(dataset)) if transform is None else split_transform(transform)
    if mean is not None and std is not None:
        normalisation = Normalisation(tuple(map(float, mean)), tuple(map(float, std)))
    return Supplied(dataset, training, geometry, normalisation, class_names, groups)
