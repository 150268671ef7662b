"""Examples that fell, as pictures: the clean image, the one that fools the model, and what was changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from efficient360.core.figures import Gallery, Picture
from efficient360.core.thumbnails import data_uri
from efficient360.methods.adversarial.attack import Attack, Subjects
from efficient360.methods.adversarial.threat import Norm, Threat
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class Case:
    """An example that fell.

    Args:
        subject: The example, alone.
        threat: The smallest threat model it fell in.
        attack: What it fell to.
    """

    subject: Subjects
    threat: Threat
    attack: Attack


def gallery(victim: Victim, cases: Sequence[Case], names: Sequence[str]) -> Gallery | None:
    """Three pictures a case, made anew by the same attack with the same draws; ``None`` for no cases.

    Args:
        victim: What was attacked.
        cases: What fell.
        names: Class names, index = label.
    """
    pictures = [picture for case in cases for picture in _pictures(victim, case, names)]
    return Gallery("Images that fell: clean, perturbed, and the change", tuple(pictures)) if pictures else None


def _pictures(victim: Victim, case: Case, names: Sequence[str]) -> Sequence[Picture]:
    found = case.attack.run(victim, case.threat, case.subject)
    if not bool(found.fell[0]):
        return ()
    clean, moved, norm = case.subject.images[0], found.images[0], case.threat.norm
    before, after = (victim.logits(image[None])[0].softmax(0) for image in (clean, moved))
    change = moved - clean
    largest = float(change.abs().max())
    told = f"{'L∞' if norm is Norm.LINF else 'L2'} ε = {case.threat.label}, {case.attack.title}"
    return (
        Picture(data_uri(clean), _called(before, names), f"{case.subject.ids[0]}, clean"),
        Picture(data_uri(moved), _called(after, names), told),
        Picture(data_uri(0.5 + 0.5 * change / largest), "the change", f"magnified {1 / (2 * largest):.3g} times around grey"),
    )


def _called(probabilities: Tensor, names: Sequence[str]) -> str:
    label = int(probabilities.argmax())
    return f"{names[label] if label < len(names) else label}, {100 * float(probabilities[label]):.0f} %"
