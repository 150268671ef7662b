"""Experience replay (Chaudhry et al. 2019): a small memory of earlier images goes along with every batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from efficient360.methods.continual_learning.fitting import Rates, fit, plain_loss
from efficient360.methods.continual_learning.memory import MEMORIES, Memory
from efficient360.methods.continual_learning.method import Learned, Method, Study


@final
@dataclass(frozen=True)
class Replay(Method):
    """Fine-tuning of every layer on batches of which one half is new and the other from the memory.

    The memory holds images that the checkpoint was trained on, where there are any, before the first task begins.

    Args:
        rates: Of learning.
        size: The most images in the memory, at least 1.
        kind: ``reservoir`` or ``balanced``.
    """

    name: ClassVar[str] = "replay"
    rates: Rates
    size: int
    kind: str

    def learn(self, study: Study) -> Iterator[Learned]:
        """Fine-tune on each task beside what the memory holds, then offer that task's images to it."""
        learner, stream, course = study.fresh(), study.stream, study.course
        rng = np.random.default_rng([course.seed, 0])
        memory: Memory = MEMORIES[self.kind](self.size, rng)
        for number in range(len(stream.homes)):
            if number:
                held = np.array(memory.items(), dtype=np.int64)

                def loss(numbers: NDArray[np.int64], number: int = number, held: NDArray[np.int64] = held) -> Tensor:
                    """Over new images and as many remembered ones."""
                    remembered = rng.choice(held, min(len(numbers), len(held)), replace=False)
                    return plain_loss(learner, stream.take(np.concatenate([numbers, remembered]), number))

                fit(learner, course.draws(stream.numbers(number), 1, number), loss, self.rates, course)
                yield Learned(learner, stream)
            for item in rng.permutation(stream.numbers(number)).tolist():
                memory.offer(item, stream.label(item))
