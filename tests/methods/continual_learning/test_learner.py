import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from streams import setup, stream
from torch import Tensor, nn

from efficient360.conformance import Subject, context_of, subject
from efficient360.errors import OutOfTime, Unsupported
from efficient360.evaluator import Deadline
from efficient360.methods.continual_learning.learner import feature_stream, learner_from, require_learnable
from efficient360.methods.continual_learning.method import LearningRates, RunSetup
from efficient360.methods.continual_learning.naive_frozen_joint import Naive
from efficient360.methods.continual_learning.stream import Features, Scenario
from efficient360.methods.continual_learning.task_pool_builder import TaskPoolBuilder
from efficient360.methods.corruptions.imagenet_c import CorruptionSetting, corrupt_image, corrupted_batch
from efficient360.models.model import PixelsToLogits, TorchModel

CORRUPTIONS = [CorruptionSetting("gaussian_noise", 3, "cifar-c"), CorruptionSetting("contrast", 3, "cifar-c")]
LOOKS = {setting.corruption: partial(corrupted_batch, setting=setting) for setting in CORRUPTIONS}


class Normed(nn.Module):
    """A convolution, a batch norm, a classifier; ``scale`` is what comes after it."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.stem, self.norm, self.head, self.scale = nn.Conv2d(3, 4, 4, 4), nn.BatchNorm2d(4), nn.Linear(4, 7), scale

    def get_classifier(self) -> nn.Linear:
        return self.head

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.head(self.norm(self.stem(x)).relu().mean((2, 3)))


def model_of(network: nn.Module, keep: tuple[int, ...] | None = None) -> TorchModel:
    module = PixelsToLogits(network, (0.5,) * 3, (0.5,) * 3, keep).eval().requires_grad_(False)
    return TorchModel(module, (3, 32, 32), 7 if keep is None else len(keep))


@pytest.fixture(scope="module")
def on() -> Subject:
    return subject()


def images(n: int = 3) -> Tensor:
    return torch.rand((n, 3, 32, 32), generator=torch.Generator().manual_seed(1))


def test_a_fresh_learner_answers_as_the_checkpoint_and_its_new_outputs_nothing(on: Subject) -> None:
    for model in (on.model, model_of(Normed(), keep=(4, 2, 0))):
        learner = learner_from(model, model.num_classes + 2)
        with torch.no_grad():
            logits = learner(images())
            assert torch.allclose(logits[:, :-2], model(images()), atol=1e-5)
        assert not logits[:, -2:].any()
        assert all(p.requires_grad for p in learner.parameters())
        assert not any(p.requires_grad for p in model.module.parameters())


def test_learning_leaves_the_checkpoint_and_the_statistics_of_batch_norms_alone() -> None:
    model = model_of(Normed())
    before = {k: v.clone() for k, v in model.module.state_dict().items()}
    learner = learner_from(model, 7)
    learner(images()).square().sum().backward()
    torch.optim.SGD(learner.parameters(), lr=0.1).step()
    assert all(torch.equal(v, before[k]) for k, v in model.module.state_dict().items())
    after = learner.backbone.state_dict()
    assert torch.equal(after["network.norm.running_mean"], before["network.norm.running_mean"])
    assert not torch.equal(after["network.norm.weight"], before["network.norm.weight"])


def test_the_last_layer_of_any_network_is_found_and_extended() -> None:
    model = model_of(nn.Sequential(nn.Flatten(), nn.Linear(3072, 7)))
    require_learnable(model)
    images = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    logits = learner_from(model, 9)(images)
    torch.testing.assert_close(logits[:, :7], model(images))
    assert not logits[:, 7:].any()


def test_what_can_not_be_copied_is_refused() -> None:
    require_learnable(model_of(Normed()))
    with pytest.raises(Unsupported) as scaled:
        require_learnable(model_of(Normed(scale=3.0)))
    assert scaled.value.code == "classifier-not-last"
    with pytest.raises(Unsupported) as headless:
        require_learnable(model_of(nn.Sequential(nn.Flatten(), nn.Linear(3072, 7), nn.Softplus())))
    assert headless.value.code == "no-linear-classifier"


def test_corrupted_tasks_are_other_training_images_and_the_same_test_images(on: Subject, tmp_path: Path) -> None:
    builder = TaskPoolBuilder(context_of(on, tmp_path, 16), tmp_path, on.examples, 8, 6, 5)
    pool = builder.corruptions(LOOKS, 3)
    shares = [pool.original.training, *(task.training for task in pool.domains)]
    assert [len(share) for share in shares] == [8, 8, 8]
    clean = {row.numpy().tobytes() for batch in on.training.batches(24) for row in batch.images}
    kept = {row.numpy().tobytes() for row in shares[0].take(np.arange(8))[0]}
    assert kept <= clean
    tested = on.examples.subset(6, 0)
    batch = next(tested.batches(6))
    for setting, task in zip(CORRUPTIONS, pool.domains, strict=True):
        shown, labels = task.test.take(np.arange(6))
        assert labels.tolist() == tested.labels.tolist()
        pixels = (batch.images[0] * 255).round().byte().numpy()
        assert np.array_equal((shown[0] * 255).round().byte().numpy(), corrupt_image(pixels, batch.ids[0], setting, on.examples.seed))
    per_class = np.array([np.bincount(share.labels, minlength=7) for share in shares])
    assert np.ptp(per_class, axis=0).max() <= 1


def test_features_are_the_backbones_and_are_taken_once(on: Subject, tmp_path: Path) -> None:
    pixels = TaskPoolBuilder(context_of(on, tmp_path, 16), tmp_path, on.examples, 8, 6, 5).corruptions(LOOKS, 3).build_stream(Scenario.DOMAIN, 0)
    learner = learner_from(on.model, 7)
    with pytest.raises(OutOfTime):
        feature_stream(pixels, learner, Deadline(0.0))
    taken = feature_stream(pixels, learner, Deadline())
    part = taken.tasks[1].training
    assert isinstance(part.inputs, Features)
    with torch.no_grad():
        assert torch.allclose(part.take(np.arange(8))[0], learner.backbone(pixels.tasks[1].training.take(np.arange(8))[0]), atol=1e-5)
    for parameter in learner.parameters():
        parameter.data.zero_()
    again = feature_stream(pixels, learner, Deadline()).tasks[1].training
    assert torch.equal(again.take(np.arange(8))[0], part.take(np.arange(8))[0])


def test_time_is_up_between_two_steps() -> None:
    in_time = setup(stream(Scenario.DOMAIN))
    late = dataclasses.replace(in_time.schedule, deadline=Deadline(0.0))
    with pytest.raises(OutOfTime):
        next(Naive(LearningRates(0.1, 0.1)).learn(RunSetup(in_time.stream, in_time.feature_stream, in_time.new_learner, late)))
