"""Networks that were cut in every way convert to every runtime of a phone and a server, and answer as in torch."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from efficient360.core.measurement import Failure
from efficient360.deployment.artefact import run_artefact
from efficient360.deployment.runtimes.building import ModelSource, build
from efficient360.deployment.runtimes.parity import parity
from efficient360.deployment.runtimes.runtime import Precision
from efficient360.methods.compression.cuts import Cuts, apply_cuts
from efficient360.models.model import PixelsToLogits, TorchModel

MODULES = {"litert": "ai_edge_litert", "openvino": "openvino", "onnxruntime": "onnxruntime"}
EVERYTHING = Cuts(input_size=24, dropped_blocks=1, heads_kept=50, mlp_kept=50, low_rank=75, merged_tokens=40)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("cuts", [EVERYTHING, Cuts(merged_tokens=60), Cuts(heads_kept=50)], ids=["everything", "merged", "heads"])
@pytest.mark.parametrize("runtime", MODULES)
def test_a_cut_network_runs_as_in_torch(runtime: str, cuts: Cuts, tmp_path: Path) -> None:
    if importlib.util.find_spec(MODULES[runtime]) is None:
        pytest.skip(f"{MODULES[runtime]} is not installed")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=3, num_heads=2, num_classes=10)
        torch.nn.init.normal_(network.head.weight, std=0.5)
    module = PixelsToLogits(network, (0.5,) * 3, (0.25,) * 3, None).eval().requires_grad_(requires_grad=False)
    cut = apply_cuts(TorchModel(module, (3, 32, 32), 10), cuts, torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    artefact = build(ModelSource(cut.digest, cut.model.module, cut.model.size, None, tmp_path), runtime, Precision.FP32)
    assert not isinstance(artefact, Failure), artefact
    images = torch.rand(8, *cut.model.size, generator=torch.Generator().manual_seed(2))
    with run_artefact(artefact, 10) as deployed:
        compared = parity(np.asarray(cut.model(images)), np.asarray(deployed(images)), Precision.FP32)
    assert compared.passed, compared.reason
