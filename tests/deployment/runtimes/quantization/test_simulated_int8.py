from pathlib import Path

import torch
from exported import block, build_of, images
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.deployment.runtimes.program import network
from efficient360.deployment.runtimes.quantization.float_layers import difference, sensitivity
from efficient360.deployment.runtimes.quantization.layers import layers_of
from efficient360.deployment.runtimes.quantization.simulation import Range, SimulatedInt8, ranges_of, rounded_weight


def test_layers_have_the_networks_names(tmp_path: Path) -> None:
    layers = layers_of(network(build_of(block(), tmp_path).program))
    assert list(layers) == ["patches", "fc1", "fc2", "head"]
    assert [layer.linear for layer in layers.values()] == [False, True, True, True]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0), st.floats(0.01, 100.0))
def test_rounding_is_torchs_fake_quantization(seed: int, low: float, high: float) -> None:
    values = torch.randn(200, generator=torch.Generator().manual_seed(seed)) * (low + high)
    step = (low + high) / 255
    theirs = torch.fake_quantize_per_tensor_affine(values, step, round(low / step), 0, 255)
    ours = Range(-low, high).rounded(values)
    assert float(((ours - theirs).abs() > 1e-4 * step).float().mean()) <= 0.01  # the last bit decides a tie
    assert float((ours - theirs).abs().max()) <= 1.01 * step


def test_weights_round_as_torchs_by_channel() -> None:
    weight = torch.randn(6, 20, generator=torch.Generator().manual_seed(0))
    steps = weight.abs().amax(1) / 63
    theirs = torch.fake_quantize_per_channel_affine(weight, steps, torch.zeros(6, dtype=torch.int32), 0, -63, 63)
    assert torch.allclose(rounded_weight(weight), theirs, atol=1e-6)
    assert rounded_weight(torch.zeros(2, 3)).tolist() == torch.zeros(2, 3).tolist()


def test_a_layer_alone_from_cached_values_is_a_run_from_the_start(tmp_path: Path) -> None:
    build = build_of(block(), tmp_path)
    graph = network(build.program)
    layers = list(layers_of(graph).values())
    simulated = SimulatedInt8(graph, layers, ranges_of(graph, layers, list(build.calibration_calls())))
    batch = torch.from_numpy(images(2, seed=1))
    names = [layer.name for layer in layers]
    exact, each = simulated.logits_of_each(batch, names)
    with torch.no_grad():
        assert torch.equal(exact, graph(batch))
    for name, answers in zip(names, each, strict=True):
        assert torch.equal(answers, simulated.logits(batch, [name]))
        assert not torch.equal(answers, exact)


def test_the_layer_that_an_outlier_ruins_is_left_in_float(tmp_path: Path) -> None:
    build = build_of(block(behind_gelu=3000.0), tmp_path)
    graph, calls = network(build.program), list(build.calibration_calls())
    found = sensitivity(graph, calls)
    assert found.left == ("fc2",)
    assert next(iter(found.alone)) == "fc2"
    assert found.differences[0] > 0.2
    assert found.differences[-1] < 0.05
    assert sensitivity(graph, calls, left=["fc2"]).left == ()
    assert sensitivity(graph, calls, largest_share=0.0).left == ()


def test_the_difference_by_hand() -> None:
    exact = torch.tensor([[1.0, -1.0], [3.0, -3.0]])  # spread 2
    assert difference(exact, exact + 0.5) == 0.25
