import numpy as np
import pytest
import torch

from efficient360.methods.distribution_shift.shift_comparison import predict_among


def test_by_hand() -> None:
    logits = np.array([[5.0, 1.0, 2.0, 3.0], [0.0, 9.0, 1.0, 1.0]])
    predictions, confidences = predict_among(logits, (1, 2, 3))
    assert predictions.tolist() == [3, 1]
    assert confidences == pytest.approx([np.exp(3) / (np.exp(1) + np.exp(2) + np.exp(3)), np.exp(9) / (np.exp(9) + 2 * np.exp(1))])


def test_of_equal_logits_the_lowest_class_and_an_equal_share() -> None:
    predictions, confidences = predict_among(np.zeros((2, 6)), (2, 3, 5))
    assert predictions.tolist() == [2, 2]
    assert confidences == pytest.approx([1 / 3, 1 / 3])


@pytest.mark.parametrize("classes", [(), (0, 2, 3, 7, 11), (4,)])
def test_against_torch_with_the_others_at_minus_infinity(classes: tuple[int, ...]) -> None:
    logits = torch.randn(50, 12, generator=torch.Generator().manual_seed(0)) * 20
    masked = torch.full_like(logits, -torch.inf)
    kept = list(classes or range(12))
    masked[:, kept] = logits[:, kept]
    predictions, confidences = predict_among(logits.numpy(), classes)
    assert predictions.tolist() == masked.argmax(1).tolist()
    assert confidences == pytest.approx(masked.double().softmax(1).amax(1).numpy())
