import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.deployment.runtimes.quantization.error_feedback import DAMPING, with_error_feedback
from efficient360.deployment.runtimes.quantization.weight_grid import group_of, largest_code, round_to_nearest, scales_of


def weight_of(seed: int, outputs: int = 4, inputs: int = 64, unit: float = 1.0) -> torch.Tensor:
    return unit * torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-2, 1e3), st.sampled_from([32, 64, 96, 192]))
def test_what_lies_on_the_grid_rounds_to_itself(seed: int, unit: float, inputs: int) -> None:
    first = round_to_nearest(weight_of(seed, inputs=inputs, unit=unit), 4)
    again = round_to_nearest(first.values, 4)
    assert torch.equal(first.codes, again.codes)
    assert torch.equal(first.scales, again.scales)
    assert torch.equal(first.values, first.values.half().float() if unit < 1e2 else first.values)  # fp16 holds it exactly
    assert int(first.codes.abs().max()) == largest_code(4) == 7


def test_groups_and_codes_by_hand() -> None:
    weight = torch.zeros(1, 32)
    weight[0, :4] = torch.tensor([7.0, -3.4, 0.6, 0.4])
    made = round_to_nearest(weight, 4)
    assert made.scales.tolist() == [[1.0]]
    assert made.codes[0, :5].tolist() == [7, -3, 1, 0, 0]
    assert (made.group, group_of(192), group_of(96), group_of(40)) == (32, 64, 32, None)
    assert round_to_nearest(torch.zeros(2, 32), 4).values.abs().sum() == 0
    with pytest.raises(ValueError, match="40 inputs"):
        scales_of(torch.ones(1, 40), 4)


def brain_surgeon(weight: np.ndarray, moments: np.ndarray, scales: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Codes by the definition: after each input is rounded, the others take the step that best makes up for it, and it leaves the inverse by elimination."""
    inverse = np.linalg.inv(moments + DAMPING * np.diag(moments).mean() * np.eye(len(moments)))
    rest, codes = weight.astype(np.float64).copy(), np.zeros(weight.shape, int)
    for column in np.argsort(-np.diag(moments), kind="stable"):
        code = np.clip(np.rint(rest[:, column] / scales[:, column]), -7, 7)
        code = np.where(fixed[:, column], np.clip(np.rint(weight[:, column] / scales[:, column]), -7, 7), code)
        error = (rest[:, column] - code * scales[:, column]) / inverse[column, column]
        codes[:, column] = code
        rest -= error[:, None] * inverse[column]
        inverse = inverse - np.outer(inverse[:, column], inverse[column]) / inverse[column, column]
    return codes


@pytest.mark.parametrize("seed", range(3))
def test_error_feedback_is_the_optimal_brain_surgeons(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(200, 64)) @ (np.eye(64) + 0.2 * rng.normal(size=(64, 64)))
    weight = weight_of(seed, outputs=5)
    made = with_error_feedback(weight, torch.from_numpy(inputs.T @ inputs), 4)
    nearest = round_to_nearest(weight, 4)
    fixed = np.zeros((5, 64), bool)
    fixed[np.arange(5), nearest.codes.abs().numpy().argmax(1)] = True
    scales = nearest.scales.numpy().repeat(64, 1).astype(np.float64)
    assert made.codes.tolist() == brain_surgeon(weight.numpy(), inputs.T @ inputs, scales, fixed).tolist()
    errors = {name: np.square(inputs @ (grid.values - weight).double().numpy().T).mean() for name, grid in (("ours", made), ("nearest", nearest))}
    assert errors["ours"] < 0.5 * errors["nearest"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_codes_chosen_by_feedback_survive_rounding_to_nearest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = torch.from_numpy(rng.normal(size=(50, 64)) * rng.exponential(size=64))
    made = with_error_feedback(weight_of(seed), inputs.T @ inputs, 4)
    again = round_to_nearest(made.values, 4)
    assert torch.equal(made.codes, again.codes)
    assert torch.equal(made.scales, again.scales)


def test_inputs_that_are_all_zero_round_to_nearest() -> None:
    weight = weight_of(0)
    assert torch.equal(with_error_feedback(weight, torch.zeros(64, 64, dtype=torch.float64), 4).codes, round_to_nearest(weight, 4).codes)
