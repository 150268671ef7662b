"""Models whose attributions are known by hand."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod
from efficient360.models.model import PixelsToLogits, TorchModel

SIZE = (3, 4, 4)
GRID = Grid(2, 2, 4, 4)
"""Four cells of 2 × 2 pixels."""


def model_of(network: nn.Module, classes: int, size: tuple[int, int, int] = SIZE, mean: float = 0.0, std: float = 1.0) -> TorchModel:
    module = PixelsToLogits(network, [mean] * 3, [std] * 3, None).eval()
    module.requires_grad_(False)
    return TorchModel(module, size, classes)


def linear_model(classes: int = 5, size: tuple[int, int, int] = SIZE, seed: int = 0, mean: float = 0.0, std: float = 1.0) -> TorchModel:
    layer = nn.Linear(size[0] * size[1] * size[2], classes)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(seed)))
        layer.bias.copy_(torch.randn(classes, generator=torch.Generator().manual_seed(seed + 1)))
    return model_of(nn.Sequential(nn.Flatten(), layer), classes, size, mean, std)


class Counting(nn.Module):
    """Two classes: the first one's logit is a weighted sum of the cells' mean values, the second one's is 0."""

    def __init__(self, weights: Sequence[float], rows: int = 2, columns: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights, dtype=torch.float32))
        self.rows, self.columns = rows, columns

    def forward(self, images: Tensor) -> Tensor:
        cells = nn.functional.adaptive_avg_pool2d(images.mean(1, keepdim=True), (self.rows, self.columns)).flatten(1)
        first = cells @ self.weight
        return torch.stack([first, torch.zeros_like(first)], 1)


class Edges(AttributionMethod):
    """Brightness steps to the right and downwards: depends on the image, not on the model."""

    name, title, source = "edges", "Edges", "none"

    def require(self, model: TorchModel) -> None:
        return None

    def attribute(self, model: TorchModel, grid: Grid, batch: AttributionBatch) -> Tensor:
        grey = nn.functional.pad(batch.images.mean(1), (0, 1, 0, 1), mode="replicate")
        return grid.sum_per_cell((grey[:, 1:, :-1] - grey[:, :-1, :-1]).abs() + (grey[:, :-1, 1:] - grey[:, :-1, :-1]).abs())


def batch_of(model: TorchModel, images: Tensor, seed: int = 0) -> AttributionBatch:
    """Images with the predicted classes as targets."""
    with torch.no_grad():
        return AttributionBatch(images, model(images).argmax(1), tuple(f"x{i}" for i in range(len(images))), seed)


def noise(n: int, size: tuple[int, int, int] = SIZE, seed: int = 0) -> Tensor:
    return torch.rand((n, *size), generator=torch.Generator().manual_seed(seed))


def vit(depth: int = 2, seed: int = 0, **changes: Any) -> TorchModel:
    """A tiny ViT of 4 × 4 patches on 16 × 16 pixels with seeded weights, spread enough for attention to differ."""
    import timm

    arguments = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": depth, "num_heads": 2, "num_classes": 5} | changes
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = timm.create_model("vit_tiny_patch16_224", **arguments)
        for parameter in network.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.3)
    return model_of(network, 5, (3, 16, 16), 0.5, 0.5)
