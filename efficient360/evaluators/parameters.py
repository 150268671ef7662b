"""Number of parameters and size of the weights in bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from efficient360.core.figures import Table
from efficient360.core.formatting import count, scaled
from efficient360.evaluator import BYTE, ONE, Better, Context, Evaluator, Measurement, Metric, Model, Need, Outcome, TorchModel, Unsupported
from efficient360.methods.complexity.blocks import by_block
from efficient360.models.checkpoint import Checkpoint
from efficient360.models.compressed_file import stored_bytes, stored_tensors
from efficient360.models.weights import Weights, named_weights

PARAMETERS = Metric("parameters", ONE, Better.LOWER, "Number of learned parameters; shared ones count once.", low=0)
WEIGHT_BYTES = Metric(
    "weight_bytes",
    BYTE,
    Better.LOWER,
    "Bytes of the checkpoint's tensors (parameters and persistent buffers) in their stored number format.",
    low=0,
)


@final
@dataclass(frozen=True)
class Parameters(Evaluator):
    """Number of parameters and bytes of the weights, by block of the network."""

    name: ClassVar[str] = "parameters"
    version: ClassVar[int] = 1
    metrics: ClassVar[tuple[Metric, ...]] = (PARAMETERS, WEIGHT_BYTES)
    needs: ClassVar[frozenset[Need]] = frozenset()

    def evaluate(self, model: Model, context: Context) -> Iterator[Outcome]:
        """Yield both metrics, exact.

        Raises:
            Unsupported: The model has no network in torch.
        """
        if not isinstance(model, TorchModel):
            raise Unsupported("no-module", f"{type(model).__name__} has no torch network whose parameters could be counted", "evaluate the torch checkpoint")
        sizes = [(name, parameter.numel()) for name, parameter in model.network.named_parameters()]
        total = sum(size for _, size in sizes)
        yield Measurement(PARAMETERS, total, extra=(_share_by_block("Parameters by block", sizes, total, model.view.blocks),))
        stored = _stored_bytes(model.network, context.checkpoint)
        yield Measurement(WEIGHT_BYTES, sum(stored.values()), extra=(_formats(model.network, stored),))


def _share_by_block(title: str, sizes: list[tuple[str, int]], total: int, blocks: Sequence[str]) -> Table:
    rows = tuple((block, count(size), f"{100 * size / max(total, 1):.1f} %") for block, size in by_block(sizes, blocks).items())
    return Table(title, ("Block", "Parameters", "Share"), rows)


def _stored_bytes(network: nn.Module, checkpoint: Checkpoint) -> dict[str, int]:
    """Bytes of each tensor of the network's state by name: as stored in the file if it comes from there, otherwise in its own number format."""
    weights = Weights({}) if checkpoint.path is None else named_weights(checkpoint.path, checkpoint.selection)
    sizes: dict[str, int] = {}
    for name, tensor in stored_tensors(network).items():
        from_file = name in weights.tensors and weights.tensors[name].shape == tensor.shape
        sizes[name] = stored_bytes(name, weights.stored or weights.tensors) if from_file else stored_bytes(name, {name: tensor})
    return sizes


def _formats(network: nn.Module, stored: Mapping[str, int]) -> Table:
    """Bytes of parameters and of buffers, separately."""
    tensors = stored_tensors(network)
    parameters = {name for name, _ in network.named_parameters()}
    rows = []
    for label, names in (("parameters", [n for n in tensors if n in parameters]), ("buffers", [n for n in tensors if n not in parameters])):
        elements = sum(tensors[name].numel() for name in names)
        size = sum(stored[name] for name in names)
        rows.append((label, count(len(names)), count(elements), scaled(size, "B"), f"{8 * size / elements:.3g}" if elements else "—"))
    return Table("Stored tensors", ("Kind", "Tensors", "Elements", "Bytes", "Bits per element"), tuple(rows))
