"""Passes of one shape, and gradients."""

from typing import Any

import pytest
import torch
from simple_models import Quantised, linear_network, linear_victim, mid_grey_batch, model_of
from torch import nn

from efficient360.conformance import subject
from efficient360.methods.adversarial.losses import ce
from efficient360.methods.adversarial.victim import Victim


class Shapes(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seen: set[Any] = set()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.add(len(images))
        logits: torch.Tensor = self.network(images)
        return logits


@pytest.mark.parametrize("n", [1, 7, 8, 9, 20])
def test_every_pass_has_the_same_shape_and_the_answers_are_the_models(n: int) -> None:
    network = Shapes(linear_network())
    victim = Victim(model_of(network), 8)
    batch = mid_grey_batch(linear_victim(), n)
    logits = victim.logits(batch.images)
    gradient = victim.gradient(batch.images, ce, batch.labels)[2]
    assert network.seen == {8}
    assert torch.allclose(logits, network.network(batch.images), atol=1e-5)
    assert gradient.shape == batch.images.shape


def test_the_gradient_is_each_examples_own() -> None:
    victim = linear_victim()
    batch = mid_grey_batch(victim, 5)
    logits, losses, gradient = victim.gradient(batch.images, ce, batch.labels)
    weight = victim.model.network[1].weight  # type: ignore[attr-defined]
    # d CE / d x = W^T (softmax - onehot), of each example alone
    expected = (logits.softmax(1) - nn.functional.one_hot(batch.labels, logits.shape[1])) @ weight
    assert torch.allclose(gradient.flatten(1), expected, atol=1e-5)
    assert torch.allclose(losses, nn.functional.cross_entropy(logits, batch.labels, reduction="none"))


def test_an_example_is_answered_alike_whatever_stands_beside_it() -> None:
    on = subject()
    victim = Victim(on.model, 8)
    images, labels = torch.rand((24, 3, 32, 32), generator=torch.Generator().manual_seed(1)), torch.arange(24) % 7
    together, gradient = victim.logits(images), victim.gradient(images, ce, labels)[2]
    shuffled = torch.randperm(24, generator=torch.Generator().manual_seed(2))
    assert torch.equal(victim.logits(images[shuffled]), together[shuffled])
    assert torch.equal(victim.gradient(images[shuffled], ce, labels[shuffled])[2], gradient[shuffled])
    for place in (0, 13):
        assert torch.equal(victim.logits(images[place : place + 1]), together[place : place + 1])
        assert torch.equal(victim.gradient(images[place : place + 1], ce, labels[place : place + 1])[2], gradient[place : place + 1])


def test_a_model_without_gradients_has_zero_ones() -> None:
    class Detached(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.detach().flatten(1)[:, :5]

    for network in (Quantised(linear_network()), Detached()):
        victim = Victim(model_of(network), 4)
        batch = mid_grey_batch(linear_victim(), 3)
        assert float(victim.gradient(batch.images, ce, batch.labels)[2].abs().max()) == 0
