"""Sanity checks of attributions, on a few examples: stable under small input changes, and changed by randomised model parameters (Adebayo et al. 2018)."""

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn

from efficient360.core.measurement import Measurement, Metric
from efficient360.core.statistics import bootstrap_mean, within
from efficient360.evaluator import Batch
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.infidelity_and_sensitivity import max_sensitivity
from efficient360.methods.attribution.method import AttributionBatch, AttributionMethod, attribution_batches
from efficient360.methods.attribution.metrics import SENSITIVITY, SIMILARITY
from efficient360.models.model import TorchModel

STAGES = ("head", "upper half", "all")
"""What is randomised, from the head downwards."""
ONE_SHUFFLE = "one shuffle of the weights"


def parameter_randomised(model: TorchModel, seed: int) -> Iterator[tuple[str, TorchModel]]:
    """Copies of the model with permuted parameters, by cascading randomisation from the head down (Adebayo et al. 2018); yields stage and copy.

    The values of each parameter tensor are permuted: its distribution stays, what was learned is lost. The model itself is not changed.

    Args:
        model: The model.
        seed: Of the permutations, together with each tensor's name.
    """
    layers = [name for name, module in model.network.named_modules() if next(module.parameters(recurse=False), None) is not None]
    for stage, count in zip(STAGES, (1, len(layers) // 2, len(layers)), strict=True):
        module = copy.deepcopy(model.module)
        _permute_parameters(module.network, layers[len(layers) - max(1, count) :], seed)
        yield stage, replace(model, module=module)


def _permute_parameters(network: nn.Module, layers: Sequence[str], seed: int) -> None:
    with torch.no_grad():
        for layer in layers:
            for name, parameter in network.get_submodule(layer).named_parameters(recurse=False):
                digest = hashlib.sha256(f"{seed}\0shuffle\0{layer}.{name}".encode()).digest()
                generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's rank correlation of each pair of rows, float64 ``(B,)``, ties at their mean rank.

    The correlation of a constant row is 1 with another constant row, and 0 with any other.

    Args:
        first: ``(B, cells)``.
        second: ``(B, cells)``.
    """
    a, b = _centred_ranks(first), _centred_ranks(second)
    lengths = a.norm(dim=1) * b.norm(dim=1)
    both_constant = (a.norm(dim=1) == 0) & (b.norm(dim=1) == 0)
    correlation = (a * b).sum(1) / torch.where(lengths > 0, lengths, torch.ones_like(lengths))
    return torch.where(both_constant, torch.ones_like(correlation), correlation).clamp(-1, 1)


def _centred_ranks(values: Tensor) -> Tensor:
    below = (values[:, :, None] > values[:, None, :]).sum(2).double()
    equal = (values[:, :, None] == values[:, None, :]).sum(2).double()
    return below + 0.5 * (equal - 1) - 0.5 * (values.shape[1] - 1)


@final
@dataclass(frozen=True)
class SanityChecks:
    """Max-sensitivity and model parameter randomisation test (MPRT), both with new attributions of every example.

    Args:
        model: The model.
        grid: The cells.
        methods: Attribution methods that the model supports.
        batch_size: Images a forward pass.
        radius: Largest change of a pixel for max-sensitivity.
        draws: Perturbed images of each example.
        seed: Of the permuted parameters and the intervals.
    """

    model: TorchModel
    grid: Grid
    methods: Sequence[AttributionMethod]
    batch_size: int
    radius: float
    draws: int
    seed: int

    def run(self, batch: Batch, check_deadline: Callable[[], None]) -> Iterator[Measurement]:
        """Max-sensitivity of each method, and rank correlation with its attributions after randomisation, with bootstrap intervals.

        Args:
            batch: The examples.
            check_deadline: Called before each method; stops the work by raising.
        """
        batches = list(attribution_batches(self.model, batch, self.batch_size))
        originals = {}
        for method in self.methods:
            check_deadline()
            originals[method.name] = [method.attribute(self.model, self.grid, part) for part, _ in batches]
            pairs = zip(originals[method.name], batches, strict=True)
            sensitivities = [self._sensitivity(method, attributions, part) for attributions, (part, _) in pairs]
            yield self._mean(SENSITIVITY, sensitivities, batches, {"explainer": method.name})
        for stage, randomised in parameter_randomised(self.model, self.seed):
            for method in self.methods:
                check_deadline()
                pairs = zip(originals[method.name], batches, strict=True)
                correlations = [rank_correlation(attributions, method.attribute(randomised, self.grid, part)) for attributions, (part, _) in pairs]
                similarity = self._mean(SIMILARITY, correlations, batches, {"explainer": method.name, "randomised": stage})
                assert similarity.interval is not None
                yield replace(similarity, interval=similarity.interval.given(ONE_SHUFFLE))

    def _sensitivity(self, method: AttributionMethod, attributions: Tensor, batch: AttributionBatch) -> Tensor:
        return max_sensitivity(lambda moved: method.attribute(self.model, self.grid, moved), attributions, batch, self.radius, self.draws)

    def _mean(self, metric: Metric, parts: Sequence[Tensor], batches: Sequence[tuple[AttributionBatch, int]], conditions: dict[str, str]) -> Measurement:
        values = torch.cat([part[:real] for part, (_, real) in zip(parts, batches, strict=True)]).cpu().numpy()
        return Measurement(metric, float(values.mean()), len(values), within(bootstrap_mean(values, self.seed), metric), conditions)
