"""Further gradient attacks, taken from torchattacks (Kim 2020): FGSM, PGD and its relatives, the transfer attacks, C&W and DeepFool.

torchattacks leaves seeding, step sizes and the check of the threat model to its user; here
- every example is attacked alone, with random draws seeded by the run's seed and the example's id, so results do not depend on the batch;
- ε and the number of steps are ours, and the step size follows from them instead of staying at 2/255;
- images are verified like those of any attack: in pixel space, by norm and ε, and by a fresh forward pass.

Its AutoAttack is not offered: it takes 10 steps instead of 100 and is seeded by the clock. Nor are its APGD, FAB and Square, which are here already.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, final

import torch
from torch import Tensor, nn

from efficient360.errors import Unsupported
from efficient360.methods.adversarial.attack import Attack, AttackBatch, AttackResult, misclassified
from efficient360.methods.adversarial.threat_model import Norm, ThreatModel
from efficient360.methods.adversarial.victim import Victim
from efficient360.models.model import Model

LINF = frozenset({Norm.LINF})
L2 = frozenset({Norm.L2})


@final
@dataclass(frozen=True)
class TorchattacksRecipe:
    """How an attack of torchattacks is built.

    Args:
        title: Display name.
        source: The paper.
        build: The attack, from torchattacks, the network, the threat model and the number of steps.
        norms: The norms it supports.
        minimises: Whether it searches for the smallest perturbation and ignores ε; then it succeeds where that perturbation lies within ε.
        square_images: Whether it can't take images that are wider than high, or the reverse.
    """

    title: str
    source: str
    build: Callable[[ModuleType, nn.Module, ThreatModel, int], Any]
    norms: frozenset[Norm] = LINF
    minimises: bool = False
    square_images: bool = False


def _iterative(name: str, factor: float) -> Callable[[ModuleType, nn.Module, ThreatModel, int], Any]:
    """An iterative attack with a step size of ``factor`` · ε / steps."""
    return lambda library, network, threat, steps: getattr(library, name)(network, eps=threat.epsilon, alpha=factor * threat.epsilon / steps, steps=steps)


def _pgd(library: ModuleType, network: nn.Module, threat: ThreatModel, steps: int) -> Any:
    return _iterative("PGD" if threat.norm is Norm.LINF else "PGDL2", PGD_STEP)(library, network, threat, steps)


PGD_STEP = 2.5
"""Step size times steps over ε, of PGD and its relatives: large enough to cross the ball (Madry et al. 2018). Momentum attacks take 1, as in their papers."""

RECIPES: Mapping[str, TorchattacksRecipe] = {
    "fgsm": TorchattacksRecipe("FGSM", "Goodfellow et al. 2015", lambda library, network, threat, _: library.FGSM(network, eps=threat.epsilon)),
    "rfgsm": TorchattacksRecipe(
        "R+FGSM",
        "Tramèr et al. 2018",
        lambda library, network, threat, _: library.RFGSM(network, eps=threat.epsilon, alpha=threat.epsilon / 2, steps=1),
    ),
    "ffgsm": TorchattacksRecipe(
        "Fast FGSM", "Wong et al. 2020", lambda library, network, threat, _: library.FFGSM(network, eps=threat.epsilon, alpha=1.25 * threat.epsilon)
    ),
    "bim": TorchattacksRecipe("BIM", "Kurakin et al. 2017", _iterative("BIM", PGD_STEP)),
    "pgd": TorchattacksRecipe("PGD", "Madry et al. 2018", _pgd, LINF | L2),
    "eotpgd": TorchattacksRecipe("EOT-PGD", "Athalye et al. 2018; Zimmermann 2019", _iterative("EOTPGD", PGD_STEP)),
    "tpgd": TorchattacksRecipe("TRADES PGD", "Zhang et al. 2019", _iterative("TPGD", PGD_STEP)),
    "jitter": TorchattacksRecipe("Jitter", "Schwinn et al. 2021", _iterative("Jitter", PGD_STEP)),
    "mifgsm": TorchattacksRecipe("MI-FGSM", "Dong et al. 2018", _iterative("MIFGSM", 1)),
    "nifgsm": TorchattacksRecipe("NI-FGSM", "Lin et al. 2020", _iterative("NIFGSM", 1)),
    "sinifgsm": TorchattacksRecipe("SI-NI-FGSM", "Lin et al. 2020", _iterative("SINIFGSM", 1)),
    "vmifgsm": TorchattacksRecipe("VMI-FGSM", "Wang & He 2021", _iterative("VMIFGSM", 1)),
    "vnifgsm": TorchattacksRecipe("VNI-FGSM", "Wang & He 2021", _iterative("VNIFGSM", 1)),
    "difgsm": TorchattacksRecipe("DI-FGSM", "Xie et al. 2019", _iterative("DIFGSM", 1), square_images=True),
    "tifgsm": TorchattacksRecipe("TI-FGSM", "Dong et al. 2019", _iterative("TIFGSM", 1), square_images=True),
    "cw": TorchattacksRecipe("C&W", "Carlini & Wagner 2017", lambda library, network, _, steps: library.CW(network, steps=steps), L2, minimises=True),
    "deepfool": TorchattacksRecipe(
        "DeepFool", "Moosavi-Dezfooli et al. 2016", lambda library, network, _, steps: library.DeepFool(network, steps=steps), L2, minimises=True
    ),
}


@final
@dataclass(frozen=True)
class TorchattacksAttack(Attack):
    """An attack of torchattacks.

    Args:
        key: A name among :data:`RECIPES`.
        steps: Gradient steps; the single-step attacks take one.
    """

    key: str
    steps: int = 100

    @property
    def name(self) -> str:
        return self.key

    @property
    def title(self) -> str:
        return RECIPES[self.key].title

    @property
    def source(self) -> str:
        return RECIPES[self.key].source

    @property
    def gradients(self) -> bool:
        return True

    @property
    def norms(self) -> frozenset[Norm]:
        return RECIPES[self.key].norms

    def run(self, victim: Victim, threat: ThreatModel, batch: AttackBatch) -> AttackResult:
        """Attack every example alone. An image that is not finite, as where a gradient is 0 everywhere, is no success.

        Raises:
            Unsupported: The attack needs square images.
        """
        import torchattacks  # only where one of its attacks is named

        recipe = RECIPES[self.key]
        height, width = batch.images.shape[2:]
        if recipe.square_images and height != width:
            raise Unsupported("not-square", f"the attack {self.key} of torchattacks can't take images of {height}×{width}", "leave it out of the attacks")
        attack = recipe.build(torchattacks, _Network(victim.model, victim.device), threat, self.steps)
        images = torch.cat([self._attack_one(attack, victim.device, batch.take(position)) for position in torch.split(batch.positions(), 1)])
        images = images.where(images.isfinite().flatten(1).all(1).view(-1, 1, 1, 1), batch.images)
        success = misclassified(victim.logits(images), batch.labels)
        if recipe.minimises:
            success = success & threat.contains(images, batch.images)
        return AttackResult(images.where(success.view(-1, 1, 1, 1), batch.images), success)

    def _attack_one(self, attack: Any, device: str, example: AttackBatch) -> Tensor:
        """The image that the attack makes of one example, ``(1, 3, H, W)``; the random state is left as it was."""
        (generator,) = example.generators(f"torchattacks {self.key}")
        cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
        # Some attacks make tensors without naming a device and then mix them with the network's.
        with torch.random.fork_rng(devices=cuda), torch.enable_grad(), torch.device(device):
            torch.manual_seed(int(generator.integers(2**63)))
            image: Tensor = attack(example.images.contiguous(), example.labels).detach()
        return image


@final
class _Network(nn.Module):
    """A model as torchattacks expects it: a module with a parameter, which tells the device, and logits that have a gradient, if only 0."""

    def __init__(self, model: Model, device: str) -> None:
        super().__init__()
        self.model = model
        self.marker = nn.Parameter(torch.zeros((), device=device), requires_grad=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, K)`` of images ``(B, 3, H, W)`` in [0, 1]."""
        logits = self.model(images)
        return logits if logits.requires_grad or not images.requires_grad else logits + 0 * images.flatten(1).sum(1, keepdim=True)
