import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from little_vit import fails
from safetensors.torch import load_file
from seen_images import IMAGES, pixels_and_logits
from tiny_transformers import TINY, Tiny

from efficient360.models.checkpoint import CheckpointSpec
from efficient360.models.references import resolve

BY_NAME = {tiny.name.removesuffix("ForImageClassification"): tiny for tiny in TINY}
FAMILIES = ("ViT", "Swin", "Dinov2")


def _same(folder: Path, tiny: Tiny, network: Any) -> Any:
    """Our logits of a folder are those of a network on the pixels of its processor, and tell images apart."""
    pixels, logits, checkpoint = pixels_and_logits(str(folder))
    theirs = tiny.image_processor()(IMAGES, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixels, theirs, rtol=0, atol=1.01 / 255 / min(checkpoint.preprocessing.std))
    with torch.inference_mode():
        expected = network(pixels).logits
    assert expected.std() > 0.01
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=2e-5)
    return checkpoint


# --- shards and other formats ---


@pytest.mark.parametrize("family", FAMILIES)
def test_shards_are_read_by_their_index(tmp_path: Path, family: str) -> None:
    tiny = BY_NAME[family]
    network = tiny.save(tmp_path / "shards", max_shard_size="40KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    found = _same(tmp_path / "shards", tiny, network)
    tiny.save(tmp_path / "one")
    assert found.digest == resolve(CheckpointSpec(str(tmp_path / "one"))).digest
    assert resolve(CheckpointSpec(str(tmp_path / "shards" / "model.safetensors.index.json"))).digest == found.digest


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pytorch_model_bin_is_the_same_checkpoint(tmp_path: Path, family: str) -> None:
    tiny = BY_NAME[family]
    network = tiny.save(tmp_path)
    digest = resolve(CheckpointSpec(str(tmp_path))).digest
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    assert _same(tmp_path, tiny, network).digest == digest


def _index(folder: Path, **names: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ({"a": "gone.safetensors"}, "shard-missing"),
        ({"a": "../config.json"}, "shards-invalid"),
        ({}, "shards-invalid"),
        ({"a": "/etc/passwd"}, "shards-invalid"),
    ],
)
def test_an_index_that_leads_nowhere(tmp_path: Path, names: dict[str, str], code: str) -> None:
    BY_NAME["Swin"].save(tmp_path, max_shard_size="40KB")
    _index(tmp_path, **names)
    fails(str(tmp_path), code)


def test_a_tensor_that_no_shard_has(tmp_path: Path) -> None:
    BY_NAME["Swin"].save(tmp_path, max_shard_size="40KB")
    path = tmp_path / "model.safetensors.index.json"
    named = json.loads(path.read_text())["weight_map"]
    _index(tmp_path, **named, more=next(iter(named.values())))
    fails(str(tmp_path), "shard-missing", "more")


# --- a trainer's folder ---


def _trained(folder: Path, tiny: Tiny, best: str | None) -> dict[str, Any]:
    networks = {}
    for step in (90, 500):
        network = tiny.build()
        with torch.no_grad():
            network.classifier.bias.add_(step * torch.arange(5) / 500)
        inner = folder / f"checkpoint-{step}"
        network.save_pretrained(inner)
        for name in ("optimizer.pt", "scheduler.pt", "training_args.bin", "rng_state.pth"):
            torch.save({}, inner / name)
        (inner / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": best, "best_metric": 0.75, "global_step": step}))
        networks[inner.name] = network
    tiny.image_processor().save_pretrained(folder)
    return networks


@pytest.mark.parametrize(
    ("best", "chosen", "said"),
    [
        ("/home/someone/out/checkpoint-90", "checkpoint-90", "checkpoint-90, the best of 2 checkpoints by trainer_state.json (0.75)"),
        ("C:\\out\\checkpoint-90", "checkpoint-90", "checkpoint-90, the best of 2 checkpoints by trainer_state.json (0.75)"),
        ("out/checkpoint-7", "checkpoint-500", "checkpoint-500, the newest of 2 checkpoints"),
        (None, "checkpoint-500", "checkpoint-500, the newest of 2 checkpoints"),
    ],
)
def test_a_trainers_folder(tmp_path: Path, best: str | None, chosen: str, said: str) -> None:
    tiny = BY_NAME["Swin"]
    networks = _trained(tmp_path, tiny, best)
    found = _same(tmp_path, tiny, networks[chosen])
    assert found.card["trainer_checkpoint"] == said
    assert found.name == tmp_path.name
    assert found.card["preprocessing_source"] == "preprocessor_config.json"


def test_the_final_model_of_a_trainers_folder_goes_before_its_checkpoints(tmp_path: Path) -> None:
    tiny = BY_NAME["ViT"]
    _trained(tmp_path, tiny, None)
    torch.save({}, tmp_path / "training_args.bin")
    final = tiny.save(tmp_path)
    assert "trainer_checkpoint" not in _same(tmp_path, tiny, final).card


# --- a base and a head, a base and an adapter ---


@pytest.mark.parametrize("family", ["ViT", "Swin", "Dinov2", "Beit"])
@pytest.mark.parametrize("prefix", ["", "fc."])
def test_a_base_model_with_its_head_beside(tmp_path: Path, family: str, prefix: str) -> None:
    tiny = BY_NAME[family]
    network = tiny.build()
    getattr(network, network.base_model_prefix).save_pretrained(tmp_path)
    tiny.image_processor().save_pretrained(tmp_path)
    torch.save({f"{prefix}{name}": tensor for name, tensor in network.classifier.state_dict().items()}, tmp_path / "linear_head.pt")
    found = _same(tmp_path, tiny, network)
    assert found.card["composed"] == "the head linear_head.pt on model.safetensors"
    assert resolve(CheckpointSpec(str(tmp_path / "linear_head.pt"))).digest == found.digest


def test_a_head_that_is_no_linear_layer(tmp_path: Path) -> None:
    network = BY_NAME["Swin"].build()
    network.swin.save_pretrained(tmp_path)
    torch.save({"0.weight": torch.ones(4, 32), "2.weight": torch.ones(5, 4)}, tmp_path / "head.pt")
    fails(str(tmp_path), "head-not-linear", "(4, 32)")


def _adapter(folder: Path, tiny: Tiny, targets: Any, **settings: Any) -> Any:
    peft = pytest.importorskip("peft")
    tiny.save(folder / "base")
    network = getattr(transformers, tiny.name).from_pretrained(folder / "base", num_labels=7, ignore_mismatched_sizes=True)
    config = peft.LoraConfig(
        r=4,
        lora_alpha=16,
        target_modules=targets,
        modules_to_save=["classifier.1" if tiny.name.startswith("ResNet") else "classifier"],
        init_lora_weights=False,
        **settings,
    )
    torch.manual_seed(2)
    adapted = peft.get_peft_model(network, config).eval()
    adapted.save_pretrained(folder / "adapter")
    return adapted


ADAPTERS: list[tuple[str, Any, dict[str, Any]]] = [
    ("ViT", ["q_proj", "v_proj"], {}),
    ("Dinov2", "all-linear", {}),
    ("Swin", ["q_proj", "v_proj"], {"use_rslora": True}),
    ("Swin", ["q_proj", "v_proj"], {"use_dora": True}),
    ("Beit", "all-linear", {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 5}, "bias": "lora_only"}),
    ("ResNet", ["convolution"], {}),
]


@pytest.mark.parametrize(("family", "targets", "settings"), ADAPTERS)
def test_an_adapter_is_merged_into_its_base(tmp_path: Path, family: str, targets: Any, settings: dict[str, Any]) -> None:
    tiny = BY_NAME[family]
    found = _same(tmp_path / "adapter", tiny, _adapter(tmp_path, tiny, targets, **settings))
    assert found.num_classes == 7
    assert found.class_names == ()
    assert found.card["composed"].startswith("LoRA adapter merged into ")


def test_an_adapter_without_its_base(tmp_path: Path) -> None:
    tiny = BY_NAME["ViT"]
    _adapter(tmp_path, tiny, ["q_proj"])
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": "/gone/base"}))
    fails(str(tmp_path / "adapter"), "adapter-base-missing", "/gone/base")


@pytest.mark.parametrize("changed", [{"peft_type": "LOHA"}, {"fan_in_fan_out": True}, {"layer_replication": [[0, 1]]}])
def test_adapters_of_other_kinds_are_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    _adapter(tmp_path, BY_NAME["ViT"], ["q_proj"])
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    fails(str(tmp_path / "adapter"), "adapter-kind", "merge_and_unload")
