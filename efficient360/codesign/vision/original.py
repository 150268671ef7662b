"""What a search starts from: a checkpoint, loaded, with the images that judge its variants."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import final

from efficient360.codesign.vision.parts import Parts, divide
from efficient360.core import canonical
from efficient360.datasets.spec import DatasetSpec
from efficient360.deployment.runtimes.calibration_images import kept_outputs, program_identity
from efficient360.errors import CheckpointError, DatasetError
from efficient360.execution.plan import Plan
from efficient360.execution.session import InMemory, open_session
from efficient360.models.checkpoint import Checkpoint, CheckpointSpec
from efficient360.models.model import TorchModel
from efficient360.storage.outcomes import Store


@final
@dataclass(frozen=True)
class Original:
    """A checkpoint and its images.

    Args:
        checkpoint: What it is.
        model: The same, loaded: pixels in [0, 1] to logits of the data's classes.
        parts: Which images do what.
        class_names: Names of the logits.
        data: Name of the data set.
        split: Its evaluated split.
    """

    checkpoint: Checkpoint
    model: TorchModel
    parts: Parts
    class_names: tuple[str, ...]
    data: str
    split: str

    @property
    def program(self) -> str:
        """Digest of all that makes its program."""
        return program_identity(self.checkpoint, kept_outputs(self.model))

    @property
    def identity(self) -> str:
        """Digest of the weights, what stands around them, and the images."""
        return canonical.digest([self.program, self.checkpoint.preprocessing, self.parts.identity()], "the checkpoint")


def open_original(
    spec: CheckpointSpec, data: DatasetSpec, folder: Path, seed: int, given: InMemory | None = None, on_step: Callable[[str], None] = lambda step: None
) -> Original:
    """Load a checkpoint and divide its data.

    Args:
        spec: What to load.
        data: Where its images are.
        folder: For what is worked out on the way.
        seed: Of the division.
        given: What a program hands over in place of either.
        on_step: Told what is being done.

    Raises:
        CheckpointError: It can't be loaded, or is a program that can't be changed any more (``program-file``).
        DatasetError: The data can't be read, or are too few.
    """
    on_step("opening the checkpoint and the data")
    plan = Plan(spec, data, "", (), folder, seed)
    with ExitStack() as stack:
        session = open_session(plan, Store(folder), lambda event: None, stack, given or InMemory())
        model, dataset = session.model, session.dataset
        if not isinstance(model, TorchModel):
            message = f"{spec.reference} is a program already, whose layers can't be changed"
            raise CheckpointError("program-file", message, "give the checkpoint that it was exported from")
        if dataset is None:
            raise DatasetError("no-dataset", "variants can't be judged without images", "add --dataset")
        if not session.checkpoint.trained:
            raise CheckpointError("random-weights", "with random weights there is no accuracy to keep", "give a trained checkpoint")
        parts = divide(dataset, session.training_split(), seed)
        names = tuple(dataset.examples.class_names)
        return Original(session.checkpoint, model, parts, names, dataset.card.name, dataset.split)
