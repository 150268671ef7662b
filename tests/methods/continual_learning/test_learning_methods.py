import math

import numpy as np
import pytest
import torch
from streams import WIDTH, learner, setup, stream
from torch import nn

from efficient360.errors import Unsupported
from efficient360.methods.continual_learning.ewc import Ewc, fisher, penalty
from efficient360.methods.continual_learning.experiment import accuracy_matrix
from efficient360.methods.continual_learning.learner import Learner
from efficient360.methods.continual_learning.lora import SCALE, Lora, LoraAdapter, add_adapters
from efficient360.methods.continual_learning.lwf import Lwf, distillation, old_heads
from efficient360.methods.continual_learning.method import LearningRates, Method, RunSetup, masked_cross_entropy
from efficient360.methods.continual_learning.naive_frozen_joint import Frozen, Joint, Naive
from efficient360.methods.continual_learning.replay import Replay
from efficient360.methods.continual_learning.stream import Scenario

RATE = LearningRates(0.02, 0.02)
FAST = LearningRates(0.05, 0.05)
ALL = (Naive(RATE), Ewc(RATE, 10.0, 8), Lwf(RATE, 1.0), Replay(RATE, 6, "reservoir"), Replay(RATE, 6, "balanced"), Frozen(RATE), Lora(RATE, 2), Joint(RATE))


def learned(method: Method, run: RunSetup) -> list[dict[str, torch.Tensor]]:
    return [{k: v.clone() for k, v in shown.learner.state_dict().items()} for shown in method.learn(run)]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_the_ewc_penalty_of_a_quadratic() -> None:
    theta = [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([[3.0]], requires_grad=True)]
    anchors, importance = [torch.tensor([0.0, 1.0]), torch.tensor([[1.0]])], [torch.tensor([2.0, 4.0]), torch.tensor([[0.5]])]
    value = penalty(theta, anchors, importance)
    assert value.item() == pytest.approx(0.5 * (2 * 1 + 4 * 1 + 0.5 * 4))
    value.backward()
    assert theta[0].grad.tolist() == [2.0, 4.0]  # F (θ − θ*)
    assert theta[1].grad.tolist() == [[1.0]]


def test_the_fisher_information_of_an_undecided_classifier() -> None:
    """With both classes at ½ the gradient of either answer is ±½ x, so the information is x² / 4 whatever is drawn."""
    domains = stream(Scenario.DOMAIN)
    undecided = Learner(nn.Identity(), nn.Linear(WIDTH, 2))
    for parameter in undecided.parameters():
        parameter.data.zero_()
    weight, bias = fisher(undecided, domains, domains.indices(1), 1, torch.Generator().manual_seed(0))
    squares = domains.batch(domains.indices(1), 1).inputs.square().mean(0) / 4
    assert torch.allclose(weight, squares.expand(2, -1), atol=1e-6)
    assert torch.allclose(bias, torch.full((2,), 0.25))


def test_distillation_by_hand() -> None:
    old = torch.tensor([[2 * math.log(3), 0.0]])  # at temperature 2: ¾ and ¼
    assert distillation(torch.zeros(1, 2), old).item() == pytest.approx(math.log(2))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert distillation(old, old).item() == pytest.approx(entropy)
    assert distillation(old + 5, old).item() == pytest.approx(entropy, rel=1e-5)  # a shift of all logits is no other answer


def test_whose_old_answers_are_kept() -> None:
    assert old_heads(stream(Scenario.CLASS), 2) == [[0, 1, 2, 3]]
    assert old_heads(stream(Scenario.TASK), 2) == [[0, 1], [2, 3]]
    assert old_heads(stream(Scenario.DOMAIN), 2) == [[0, 1]]


def test_the_loss_is_among_the_allowed_outputs_only() -> None:
    logits = torch.tensor([[0.0, 0.0, 9.0]], requires_grad=True)
    loss = masked_cross_entropy(logits, torch.tensor([0]), torch.tensor([[True, True, False]]))
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    assert logits.grad.tolist() == [[-0.5, 0.5, 0.0]]


def test_an_adapter_changes_nothing_at_first_and_any_weight_at_full_rank() -> None:
    layer, x = nn.Linear(4, 3), torch.randn(5, 4)
    plain, update = layer(x), torch.randn(3, 4)
    adapter = LoraAdapter(layer.weight.detach(), 9, torch.Generator().manual_seed(0))
    assert adapter.down.shape == (3, 4)
    assert torch.equal(nn.functional.linear(x, adapter(layer.weight), layer.bias), plain)
    adapter.down = nn.Parameter(torch.eye(4)[:4])
    adapter.up = nn.Parameter(update / SCALE)
    moved = nn.functional.linear(x, adapter(layer.weight), layer.bias)
    assert torch.allclose(moved, nn.functional.linear(x, layer.weight + update, layer.bias), atol=1e-6)


def test_adapters_learn_and_the_weights_below_stay() -> None:
    classes = stream(Scenario.CLASS)
    before = learner(classes.outputs).backbone.state_dict()
    after = learned(Lora(RATE, 2), setup(classes))[-1]
    assert torch.equal(after["backbone.0.parametrizations.weight.original"], before["0.weight"])
    assert torch.equal(after["backbone.0.bias"], before["0.bias"])
    assert after["backbone.0.parametrizations.weight.0.up"].abs().max() > 0
    with pytest.raises(Unsupported) as refused:
        add_adapters(nn.Sequential(nn.ReLU()), 2, 0)
    assert refused.value.code == "no-linear-layers"


@pytest.mark.parametrize("scenario", Scenario)
def test_joint_training_on_one_task_is_plain_training_on_it(scenario: Scenario) -> None:
    alone = setup(stream(scenario, tasks=1, original=0))
    (naive,), (joint,), (replayed,) = learned(Naive(RATE), alone), learned(Joint(RATE), alone), learned(Replay(RATE, 5, "reservoir"), alone)
    assert same(naive, joint)
    assert same(naive, replayed)
    assert not same(naive, learner(alone.stream.outputs).state_dict())


@pytest.mark.parametrize("method", [Ewc(RATE, 0.0, 4), Lwf(RATE, 0.0)], ids=["ewc", "lwf"])
def test_without_weight_nothing_holds_back(method: Method) -> None:
    run = setup(stream(Scenario.DOMAIN))
    assert same(learned(method, run)[-1], learned(Naive(RATE), run)[-1])


def test_a_strong_penalty_holds_the_weights() -> None:
    run = setup(stream(Scenario.DOMAIN, tasks=3))
    start = learner(2).state_dict()
    free, held = (learned(Ewc(RATE, strength, 8), run)[-1] for strength in (0.0, 1e4))
    moved, stayed = (sum((end[k] - v).square().sum() for k, v in start.items()).item() for end in (free, held))
    assert stayed < 0.5 * moved


def test_frozen_features_and_separate_heads_forget_nothing() -> None:
    run = setup(stream(Scenario.TASK, tasks=3))
    r = accuracy_matrix(Frozen(RATE), run, [0.5, 0, 0, 0])
    for task in range(1, 4):
        assert len(set(r[task:, task].tolist())) == 1
    assert len(set(r[1:, 0].tolist())) == 1
    assert r[1, 2] == r[1, 3] == r[2, 3] == 0  # not learned yet


def test_replay_and_joint_training_keep_what_naive_training_forgets() -> None:
    """Classes one after the other on separable features, enough steps: a network that sees only new classes names only those."""
    run = setup(stream(Scenario.CLASS, tasks=2), steps=40)
    before = [1.0, 0, 0]
    naive, replayed, joint = (accuracy_matrix(method, run, before) for method in (Naive(FAST), Replay(FAST, 20, "balanced"), Joint(FAST)))
    assert naive[-1, 0] == naive[-1, 1] == 0
    assert naive[-1, 2] == 1
    assert replayed[-1, :2].min() > 0.7
    assert joint[-1].min() > 0.9


@pytest.mark.parametrize("method", ALL, ids=lambda m: m.name)
@pytest.mark.parametrize("scenario", Scenario)
def test_the_same_seed_learns_the_same_and_draws_nothing_global(method: Method, scenario: Scenario) -> None:
    tasks = stream(scenario)
    global_state, ticks = torch.get_rng_state(), []
    first = learned(method, setup(tasks))
    assert torch.equal(torch.get_rng_state(), global_state)
    schedule = setup(tasks).schedule
    counted = type(schedule)(schedule.steps, schedule.batch, schedule.seed, schedule.deadline, lambda: ticks.append(1))
    second = learned(method, RunSetup(tasks, lambda: tasks, lambda: learner(tasks.outputs), counted))
    assert len(first) == 2
    assert all(map(same, first, second))
    assert len(ticks) == method.passes(2) * schedule.steps
    assert all(np.isfinite(value.numpy()).all() for value in first[-1].values())
