"""Models whose robustness is known analytically, and one that counts its forward passes."""

import torch
from torch import Tensor, nn

from efficient360.methods.adversarial.attack import AttackBatch
from efficient360.methods.adversarial.victim import Victim
from efficient360.models.model import PixelsToLogits, TorchModel

SIZE = (3, 4, 4)
PIXELS = 48
CLASSES = 5


def model_of(network: nn.Module, classes: int = CLASSES, size: tuple[int, int, int] = SIZE) -> TorchModel:
    module = PixelsToLogits(network, [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], None).eval()
    module.requires_grad_(False)
    return TorchModel(module, size, classes)


def linear_network(seed: int = 0, classes: int = CLASSES, scale: float = 1.0) -> nn.Sequential:
    layer = nn.Linear(PIXELS, classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        layer.weight.copy_(scale * torch.randn(classes, PIXELS, generator=generator))
        layer.bias.copy_(-0.5 * layer.weight.sum(1))
    return nn.Sequential(nn.Flatten(), layer)


def linear_victim(seed: int = 0, classes: int = CLASSES, scale: float = 1.0, rows: int = 8) -> Victim:
    return Victim(model_of(linear_network(seed, classes, scale), classes), rows)


def mid_grey_batch(victim: Victim, n: int, seed: int = 0) -> AttackBatch:
    """Images around mid-grey, far from the borders of the pixel range, labelled as the model sees them."""
    images = 0.5 + 0.05 * torch.randn((n, *SIZE), generator=torch.Generator().manual_seed(seed)).clamp(-3, 3)
    return AttackBatch(images, victim.logits(images).argmax(1), tuple(f"x{i}" for i in range(n)), 0)


def exact_radii(victim: Victim, batch: AttackBatch, dual: float) -> Tensor:
    """Smallest perturbation that changes a linear model's answer, float64 ``(B,)``: the least margin over the dual norm of the difference of weights."""
    layer = victim.model.network[1]  # type: ignore[attr-defined]
    weight, logits = layer.weight.double(), victim.logits(batch.images).double()
    label = batch.labels
    margins = logits.gather(1, label[:, None]) - logits
    lengths = (weight[label][:, None, :] - weight[None]).norm(p=dual, dim=2)
    radii = margins / lengths.clamp(min=1e-12)
    return radii.scatter(1, label[:, None], float("inf")).amin(1)


class Quantised(nn.Module):
    """A network behind a rounding of its pixels: right as often, and without any gradient."""

    def __init__(self, network: nn.Module, levels: int = 16) -> None:
        super().__init__()
        self.network, self.levels = network, levels

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(torch.round(images * self.levels) / self.levels)
        return logits


class Counting(nn.Module):
    """Counts its forward passes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.passes = network, 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        logits: Tensor = self.network(images)
        return logits
