"""Adversarial examples as pictures: the clean image, the adversarial image, and the perturbation between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from efficient360.core.figures import Gallery, Picture
from efficient360.core.thumbnails import data_uri
from efficient360.methods.adversarial.attack import Attack, AttackBatch
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim


@final
@dataclass(frozen=True)
class SuccessfulAttack:
    """An example that an attack broke.

    Args:
        example: A batch of that one example.
        threat: The smallest threat model in which the attack succeeded.
        attack: The attack.
    """

    example: AttackBatch
    threat: ThreatModel
    attack: Attack


def gallery(victim: Victim, cases: Sequence[SuccessfulAttack], class_names: Sequence[str]) -> Gallery | None:
    """Three pictures a case, recomputed by the same attack with the same random draws; ``None`` without cases.

    Args:
        victim: The model under attack.
        cases: Successful attacks.
        class_names: Index = label.
    """
    pictures = [picture for case in cases for picture in _pictures(victim, case, class_names)]
    return Gallery("Adversarial examples: clean image, adversarial image, perturbation", tuple(pictures)) if pictures else None


def _pictures(victim: Victim, case: SuccessfulAttack, class_names: Sequence[str]) -> Sequence[Picture]:
    result = case.attack.run(victim, case.threat, case.example)
    if not bool(result.success[0]):
        return ()
    clean, adversarial, norm = case.example.images[0], result.images[0], case.threat.norm
    before, after = (victim.logits(image[None])[0].softmax(0) for image in (clean, adversarial))
    perturbation = adversarial - clean
    largest = float(perturbation.abs().max())
    note = f"{'L∞' if norm is Norm.LINF else 'L2'} ε = {case.threat.label}, {case.attack.title}"
    return (
        Picture(data_uri(clean), _prediction(before, class_names), f"{case.example.ids[0]}, clean"),
        Picture(data_uri(adversarial), _prediction(after, class_names), note),
        Picture(data_uri(0.5 + 0.5 * perturbation / largest), "perturbation", f"magnified {1 / (2 * largest):.3g} times around grey"),
    )


def _prediction(probabilities: Tensor, class_names: Sequence[str]) -> str:
    label = int(probabilities.argmax())
    return f"{class_names[label] if label < len(class_names) else label}, {100 * float(probabilities[label]):.0f} %"
