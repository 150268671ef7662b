"""A converted artefact as a model: logits only, from the very file whose latency is measured."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

import numpy as np
import torch
from torch import Tensor

from efficient360.deployment.devices.interleaving import IMAGES, load
from efficient360.deployment.devices.link import Link
from efficient360.deployment.devices.local import local_place, open_cores
from efficient360.deployment.runtimes.runtime import Artefact
from efficient360.models.model import Model

TIMEOUT = 600.0


@final
@dataclass(frozen=True)
class DeployedModel(Model):
    """An artefact running in a worker of this machine.

    Args:
        artefact: What runs.
        classes: Number of logits.
        link: Its worker, with the artefact loaded.
        folder: The worker's folder, where images and logits are exchanged.
        version: Of the runtime that runs it.
    """

    artefact: Artefact
    classes: int
    link: Link
    folder: Path
    version: str

    @property
    def num_classes(self) -> int:
        return self.classes

    @property
    def input_size(self) -> tuple[int, int, int]:
        return self.artefact.size

    def __call__(self, images: Tensor) -> Tensor:
        """Logits float32 ``(B, K)`` of images ``(B, 3, H, W)`` in [0, 1], the artefact's batch at a time.

        Raises:
            WorkerFailed: The runtime raised, crashed or hung.
        """
        np.save(self.folder / "question.npy", images.detach().cpu().numpy().astype(np.float32, copy=False))
        self.link.ask("answer", TIMEOUT, images="question.npy", logits="answer.npy")
        return torch.from_numpy(np.load(self.folder / "answer.npy"))


@contextmanager
def deployed(artefact: Artefact, classes: int) -> Iterator[DeployedModel]:
    """The artefact loaded in a worker of this machine, ended afterwards.

    Raises:
        WorkerFailed: It can't be loaded.
    """
    with TemporaryDirectory() as spare, local_place(open_cores(), {}, None) as place:
        first = Path(spare) / IMAGES
        np.save(first, np.full((artefact.batch, *artefact.size), 0.5, np.float32))
        place.put(first, IMAGES)
        with closing(place.start()) as link:
            told = load(place, link, artefact, open_cores(), TIMEOUT)
            yield DeployedModel(artefact, classes, link, place.folder, told["version"])
