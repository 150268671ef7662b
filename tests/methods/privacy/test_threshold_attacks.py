import numpy as np
import pytest
import torch
from scipy.stats import entropy

from efficient360.conformance import subject
from efficient360.core.batch import Batch
from efficient360.errors import CheckpointError
from efficient360.methods.privacy.threshold_attacks import ENTROPY, LOSS, MARGIN, SCALED, attack_signals, gradient_norms, model_signals

LOGITS = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)) * 3
LABELS = torch.randint(6, (40,), generator=torch.Generator().manual_seed(1))


def test_signals_are_what_their_names_say() -> None:
    result = attack_signals(LOGITS, LABELS).numpy()
    p = LOGITS.double().softmax(1).numpy()
    label = p[np.arange(40), LABELS]
    np.testing.assert_allclose(result[:, LOSS], torch.nn.functional.cross_entropy(LOGITS.double(), LABELS, reduction="none"))
    np.testing.assert_allclose(result[:, ENTROPY], entropy(p, axis=1))
    np.testing.assert_allclose(result[:, SCALED], np.log(label / (1 - label)))
    ranked = np.sort(LOGITS.numpy(), axis=1)
    right = LOGITS.argmax(1).numpy() == LABELS.numpy()
    np.testing.assert_allclose(result[right, MARGIN], (ranked[:, -1] - ranked[:, -2])[right], rtol=1e-6)
    assert (result[~right, MARGIN] <= 0).all()


def test_a_confidence_that_rounds_to_one_stays_finite() -> None:
    result = attack_signals(torch.tensor([[200.0, 0.0, 1.0], [0.0, 500.0, 0.0]]), torch.tensor([0, 0]))
    assert bool(torch.isfinite(result).all())
    assert float(result[0, SCALED]) == pytest.approx(199 - np.log1p(np.exp(-1)))


def test_logits_that_are_no_numbers_name_the_example() -> None:
    on = subject()
    logits = LOGITS[:2, :].clone()
    logits[1, 0] = torch.nan
    batch = Batch(("a", "b"), LABELS[:2], lambda: torch.zeros(2, 3, 32, 32), 0, clean_logits=logits)
    with pytest.raises(CheckpointError, match="for example b") as caught:
        model_signals(on.model, batch)
    assert caught.value.code == "non-finite-logits"


def test_gradient_norms_are_those_of_a_backward_pass_each() -> None:
    on = subject()
    batch = next(on.examples.batches(5))
    result = gradient_norms(on.model, batch.images, batch.labels)
    copy = subject().model.module.requires_grad_(requires_grad=True)
    for i in range(5):
        copy.zero_grad()
        torch.nn.functional.cross_entropy(copy(batch.images[i : i + 1]), batch.labels[i : i + 1]).backward()
        norm = torch.cat([p.grad.flatten() for p in copy.parameters() if p.grad is not None]).norm()
        assert float(result[i]) == pytest.approx(float(norm), rel=1e-4)
    assert all(p.grad is None and not p.requires_grad for p in on.model.module.parameters())


def test_gradient_norms_one_by_one_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    on = subject()
    batch = next(on.examples.batches(4))
    together = gradient_norms(on.model, batch.images, batch.labels)
    monkeypatch.setattr("efficient360.methods.privacy.threshold_attacks.MAX_GRADIENT_VALUES", 1)
    np.testing.assert_allclose(gradient_norms(on.model, batch.images, batch.labels), together, rtol=1e-4)
