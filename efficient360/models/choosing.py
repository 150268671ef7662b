"""The weights of a network in a file: chosen by names and shapes, and told."""

from collections.abc import Mapping
from typing import Final

from torch import Tensor, nn

from efficient360.core.text import one_line
from efficient360.errors import CheckpointError
from efficient360.models.checkpoint import CheckpointSpec, Selection
from efficient360.models.compressed_file import KEY
from efficient360.models.fitting import may_resample, same_but_classes
from efficient360.models.greyscale import weights_for_colour
from efficient360.models.selection import Candidate, Choice, Target, separate_heads, shapes_of
from efficient360.models.size_limits import MOST_PARTS
from efficient360.models.sources import CheckpointSource
from efficient360.models.state_dicts import Role, state_dicts
from efficient360.models.weights import choose_weights, translated
from efficient360.models.weights_file import WeightsFile

_LONGEST: Final = 300


def choice_for(
    spec: CheckpointSpec, source: CheckpointSource, network: nn.Module, classifier: tuple[str, ...], file: WeightsFile, greyscale: bool = False
) -> Choice:
    """The weights in a file that are a network's.

    Args:
        spec: What the user asked for.
        source: Where it led.
        network: With any number of classes; it may be without data.
        classifier: Dotted names of its classifiers; empty where they are not known.
        file: What the file holds.
        greyscale: Whether the weights are to see the luminance.

    Raises:
        CheckpointError: As for :func:`efficient360.models.weights.choose_weights`; or the network is there without its classifier, and a linear layer beside it
            (``separate-classifier``).
    """
    if KEY in file.metadata:
        return Choice(Candidate(Selection(), "", Role.TRAINED, {}, fits=True))
    shapes, resample = shapes_of(network.state_dict()), may_resample(source.origin, spec)

    def fits(tensors: Mapping[str, Tensor]) -> bool:
        named = translated(tensors)
        return same_but_classes(network, weights_for_colour(shapes, named) if greyscale else named, classifier, resample)

    target = Target(shapes, classifier, fits)
    choice = choose_weights(file, spec.weights_key, target)
    if heads := separate_heads(choice.taken, file.content, target):
        message = f"{file.path} holds {choice.taken.label!r} without a classifier, and beside it the linear layer {heads[0].rpartition('+')[2]!r}"
        raise CheckpointError("separate-classifier", message, f"if that is its classifier: --weights-key {heads[0]}")
    return choice


def choice_card(choice: Choice) -> dict[str, str]:
    """Which of the weights in the file were taken, and what was left."""
    others = ", ".join(label or "the plain ones" for label in choice.others)
    told = {"taken_from": choice.taken.label, "taken_because": choice.reason, "other_weights": others, "left_out": ", ".join(choice.taken.beside)}
    return {name: one_line(value, _LONGEST) for name, value in told.items() if value}


def most_parts(file: WeightsFile) -> int:
    """Modules and parameters that an architecture may have whose weights a file holds, whatever its card says: up to four a tensor are usual."""
    return min(MOST_PARTS, 2000 + 20 * max((len(one.tensors) for one in state_dicts(file.content)), default=0))
