import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import block, build_of, images

from efficient360.deployment.runtimes.program import network
from efficient360.deployment.runtimes.quantization.by_value import operators_left
from efficient360.deployment.runtimes.quantization.error_feedback import round_program
from efficient360.deployment.runtimes.quantization.layers import value_of
from efficient360.deployment.runtimes.quantization.prepared import prepare
from efficient360.deployment.runtimes.quantization.weight_grid import round_to_nearest
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.errors import Unsupported


def test_a_smooth_program_computes_the_same_and_names_what_stays_in_float(tmp_path: Path) -> None:
    module = block(outlier=100.0, behind_gelu=3000.0)
    build = build_of(module, tmp_path, Precision.INT8_SMOOTH, float_layers=("head",))
    made, facts = prepare(build, tmp_path / "smooth")
    assert made.float_layers == ("fc2", "head")
    assert facts["left_in_float"] == "fc2"
    assert facts["simulated_difference"] < 0.05 < facts["simulated_difference_all_int8"]
    batch = torch.from_numpy(images(2, seed=1))
    with torch.no_grad():
        assert torch.allclose(network(made.program)(batch), module(batch), rtol=1e-4, atol=1e-4)
        assert not torch.equal(value_of(network(made.program), "fc1.weight"), module.get_parameter("fc1.weight"))
    stamp = made.program.stat().st_mtime_ns
    assert prepare(build, tmp_path / "smooth") == (made, facts)
    assert made.program.stat().st_mtime_ns == stamp


def test_a_rounded_program_lies_on_the_grid(tmp_path: Path) -> None:
    module = block()
    made, _ = prepare(build_of(module, tmp_path, Precision.W4_GPTQ, float_layers=("fc2",)), tmp_path / "gptq")
    graph = network(made.program)
    for name in ("fc1.weight", "head.weight"):
        value = value_of(graph, name).detach()
        assert torch.equal(round_to_nearest(value, 4).values, value)
        assert not torch.equal(round_to_nearest(dict(module.named_parameters())[name].detach(), 4).values, value)
    assert torch.equal(value_of(graph, "fc2.weight"), module.get_parameter("fc2.weight"))
    assert torch.equal(value_of(graph, "patches.weight"), module.get_parameter("patches.weight"))


def test_feedback_sees_the_inputs_that_rounded_layers_make(tmp_path: Path) -> None:
    build = build_of(block(), tmp_path)
    calls = list(build.calibration_calls())
    graph = network(build.program)
    rounded = round_program(graph, calls, 4)
    assert list(rounded) == ["fc1.weight", "fc2.weight", "head.weight"]
    exact = block()
    with torch.no_grad():
        batch = torch.from_numpy(np.concatenate(calls))
        wanted = exact(batch)
        ours = torch.cat([graph(torch.from_numpy(call)) for call in calls])
        for name in rounded:
            weight = dict(exact.named_parameters())[name]
            weight.copy_(round_to_nearest(weight, 4).values)
        nearest = exact(batch)
    assert float((ours - wanted).abs().mean()) < 0.6 * float((nearest - wanted).abs().mean())


def test_operators_are_found_by_their_numbers_in_any_layout(tmp_path: Path) -> None:
    build = build_of(block(), tmp_path, float_layers=("patches", "fc2"))
    values = {name: parameter.detach().numpy() for name, parameter in block().named_parameters()}
    weights = {"conv_7": values["patches.weight"].transpose(0, 2, 3, 1), "mul_3": values["fc2.weight"].T, "mul_9": values["fc1.weight"]}
    assert operators_left(build, weights) == ["conv_7", "mul_3"]
    assert operators_left(dataclasses.replace(build, float_layers=()), weights) == []
    with pytest.raises(Unsupported) as error:
        operators_left(build, {"mul_9": values["fc1.weight"]})
    assert error.value.code == "layer-not-found"
    with pytest.raises(Unsupported) as error:
        operators_left(dataclasses.replace(build, float_layers=("fc3",)), weights)
    assert error.value.code == "no-such-layer"
