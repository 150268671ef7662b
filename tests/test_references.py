import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from efficient360 import embedded
from efficient360.building import load_model
from efficient360.checkpoint import Checkpoint, CheckpointSpec, Origin
from efficient360.errors import CheckpointError
from efficient360.hub import Repository, commit_of, parse_repository
from efficient360.model import preflight
from efficient360.references import resolve, zoo_names
from efficient360.weights import digest
from huggingface_hub import constants, errors
from safetensors.torch import save_file
from torch import nn

ARCHITECTURE = "vit_tiny_patch16_224"
ARGUMENTS: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3, "num_classes": 6}
CARD: dict[str, Any] = {
    "name": "tiny", "architecture": ARCHITECTURE, "model_args": ARGUMENTS, "input_size": [3, 32, 32], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
    "interpolation": "bilinear", "crop_pct": 0.8, "crop_mode": "squash", "num_classes": 6, "class_names": list("abcdef"), "training": {"epochs": 1},
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _network(**changed: Any) -> nn.Module:
    torch.manual_seed(5)
    network: nn.Module = timm.create_model(ARCHITECTURE, **{**ARGUMENTS, **changed})
    return network


def _weights(path: Path, **changed: Any) -> Path:
    save_file(_network(**changed).state_dict(), path)
    return path


def _json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data))


def _fails(spec: CheckpointSpec | str, code: str, *said: str) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        resolve(CheckpointSpec(spec) if isinstance(spec, str) else spec)
    assert caught.value.code == code
    for words in said:
        assert words in caught.value.message + " | " + caught.value.hint
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


# --- local files and their sidecars ---


@pytest.mark.parametrize("beside", ["w.json", "model.json", "config.json"])
def test_our_sidecar_says_everything(tmp_path: Path, beside: str) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / beside, CARD)
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors")))
    assert (found.name, found.architecture, dict(found.arguments), found.origin) == ("tiny", ARCHITECTURE, ARGUMENTS, Origin.FILE)
    assert (found.path, found.digest) == (tmp_path / "w.safetensors", digest(_network().state_dict()))
    assert (found.num_classes, found.class_names) == (6, tuple("abcdef"))
    shape = found.preprocessing
    assert (shape.input_size, shape.mean, shape.std) == ((3, 32, 32), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (shape.interpolation, shape.crop_pct, shape.crop_mode) == ("bilinear", 0.8, "squash")
    assert found.card["training"] == {"epochs": 1}
    assert found.card["preprocessing_source"] == "sidecar"
    assert found.trained


def test_the_stems_sidecar_goes_first(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", CARD)
    _json(tmp_path / "model.json", {**CARD, "name": "other"})
    assert resolve(CheckpointSpec(str(tmp_path / "w.safetensors"))).name == "tiny"


def test_the_sidecar_of_a_double_suffix(tmp_path: Path) -> None:
    torch.save({"state_dict": _network().state_dict()}, tmp_path / "w.pth.tar")
    _json(tmp_path / "w.json", CARD)
    assert resolve(CheckpointSpec(str(tmp_path / "w.pth.tar"))).name == "tiny"


def test_arguments_may_be_called_so(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", {"architecture": ARCHITECTURE, "arguments": ARGUMENTS})
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors")))
    assert (found.preprocessing.input_size, found.num_classes) == ((3, 32, 32), 6)
    assert found.preprocessing.mean == (0.5, 0.5, 0.5)
    assert found.card["preprocessing_source"] == f"timm's defaults of {ARCHITECTURE}"


def test_timms_config(tmp_path: Path) -> None:
    _weights(tmp_path / "model.safetensors")
    inner = {"input_size": [3, 32, 32], "fixed_input_size": True, "mean": [0, 0, 0], "std": [1, 1, 1], "crop_pct": 0.9, "license": "mit", "custom_load": False}
    rest = {key: value for key, value in ARGUMENTS.items() if key not in {"img_size", "num_classes"}}
    config = {"architecture": ARCHITECTURE, "num_classes": 6, "model_args": rest, "pretrained_cfg": inner, "label_names": list("abcdef")}
    _json(tmp_path / "config.json", config)
    found = resolve(CheckpointSpec(str(tmp_path)))
    assert (found.preprocessing.mean, found.preprocessing.std, found.preprocessing.crop_pct) == ((0, 0, 0), (1, 1, 1), 0.9)
    assert (found.num_classes, found.class_names, found.card["license"]) == (6, tuple("abcdef"), "mit")
    assert "custom_load" not in found.card
    preflight(load_model(found), seed=0)


def test_what_timm_itself_writes(tmp_path: Path) -> None:
    network = _network()
    timm.models.save_for_hf(network, tmp_path, model_args=ARGUMENTS)
    found = resolve(CheckpointSpec(str(tmp_path)))
    images = torch.rand(2, 3, 32, 32)
    config = timm.data.resolve_model_data_config(network)
    mean, std = (torch.tensor(config[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    torch.testing.assert_close(load_model(found)(images), network.eval()((images - mean) / std).detach())


def test_what_the_user_gives_goes_before_the_sidecar(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", {**CARD, "model_args": {**ARGUMENTS, "depth": 7}})
    assert resolve(CheckpointSpec(str(tmp_path / "w.safetensors"), arguments={"depth": 2})).arguments["depth"] == 2


def test_a_stray_config_is_passed_over_and_the_number_of_classes_inferred(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "config.json", {"port": 80})
    arguments = {key: value for key, value in ARGUMENTS.items() if key != "num_classes"}
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors"), architecture=ARCHITECTURE, arguments=arguments))
    assert (found.num_classes, found.arguments["num_classes"]) == (6, 6)
    assert "port" not in found.card


def test_another_img_size_resamples_and_says_so(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", CARD)
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors"), arguments={"img_size": 64}))
    assert found.card["adapted"] == "position embedding resampled for 64 x 64 images"
    assert found.preprocessing.input_size == (3, 64, 64)
    assert found.digest == resolve(CheckpointSpec(str(tmp_path / "w.safetensors"))).digest
    assert load_model(found)(torch.rand(1, 3, 64, 64)).shape == (1, 6)


def test_ema_and_plain_weights_differ_in_digest_and_card(tmp_path: Path) -> None:
    averaged = {name: tensor * 0.5 for name, tensor in _network().state_dict().items()}
    torch.save({"model": _network().state_dict(), "model_ema": averaged}, tmp_path / "w.pth")
    _json(tmp_path / "w.json", CARD)
    spec = CheckpointSpec(str(tmp_path / "w.pth"))
    plain, ema = resolve(spec), resolve(replace(spec, ema=True))
    assert (plain.digest, ema.digest) == (digest(_network().state_dict()), digest(averaged))
    assert (plain.card["other_weights"], ema.card["taken_from"]) == ("model_ema", "model_ema")
    assert torch.equal(load_model(ema).network.state_dict()["norm.weight"], averaged["norm.weight"])


def test_random_weights_of_a_files_architecture(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", CARD)
    found = resolve(CheckpointSpec(str(tmp_path / "w.safetensors"), random_weights=True))
    assert (found.origin, found.path, found.preprocessing.mean) == (Origin.RANDOM, None, (0.1, 0.2, 0.3))
    assert found.class_names == tuple("abcdef")
    assert found.name == "tiny-random-0"


def test_the_trained_checkpoint_beside_the_repository() -> None:
    shared = Path(os.environ.get("EFFICIENT360_SHARED", Path(__file__).parents[2] / "shared" / "data"))
    path = shared / "checkpoints" / "vit_cifar10.safetensors"
    if not path.is_file():
        pytest.skip(f"no trained checkpoint at {path}; EFFICIENT360_SHARED names its folder")
    found = resolve(CheckpointSpec(str(path)))
    assert (found.num_classes, found.class_names[0], found.preprocessing.input_size) == (10, "airplane", (3, 32, 32))
    preflight(load_model(found), seed=0)


# --- faults of local files ---


def test_no_architecture(tmp_path: Path) -> None:
    _fails(str(_weights(tmp_path / "w.safetensors")), "architecture-unknown", "--arch")


def test_unknown_architecture(tmp_path: Path) -> None:
    _fails(CheckpointSpec(str(_weights(tmp_path / "w.safetensors")), architecture="vit_tinny_patch16_224"), "unknown-architecture", "vit_tiny_patch16_224")


def test_wrong_class_count(tmp_path: Path) -> None:
    spec = CheckpointSpec(str(_weights(tmp_path / "w.safetensors")), architecture=ARCHITECTURE, arguments={**ARGUMENTS, "num_classes": 4})
    assert _fails(spec, "class-count-mismatch", "has 6 classes, the architecture 4").hint == "--arch-arg num_classes=6"


def test_wrong_architecture(tmp_path: Path) -> None:
    _fails(CheckpointSpec(str(_weights(tmp_path / "w.safetensors")), architecture="resnet18"), "wrong-architecture", "resnet18")


def test_img_size_is_not_inferred(tmp_path: Path) -> None:
    arguments = {key: value for key, value in ARGUMENTS.items() if key != "img_size"}
    _fails(CheckpointSpec(str(_weights(tmp_path / "w.safetensors")), architecture=ARCHITECTURE, arguments=arguments), "weights-mismatch", "img_size=32")


def test_no_classifier(tmp_path: Path) -> None:
    path = _weights(tmp_path / "w.safetensors", num_classes=0)
    _fails(CheckpointSpec(str(path), architecture=ARCHITECTURE, arguments={**ARGUMENTS, "num_classes": 0}), "no-classifier")
    _json(tmp_path / "w.json", {**CARD, "num_classes": 0, "model_args": {}})
    _fails(str(path), "no-classifier")


def test_images_that_are_not_rgb(tmp_path: Path) -> None:
    path = _weights(tmp_path / "w.safetensors", in_chans=1)
    _fails(CheckpointSpec(str(path), architecture=ARCHITECTURE, arguments={**ARGUMENTS, "in_chans": 1}), "not-rgb")


def test_sizes_that_contradict_each_other(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", {**CARD, "input_size": [3, 40, 40]})
    _fails(str(tmp_path / "w.safetensors"), "input-size-mismatch", "40 x 40", "32 x 32")


def test_class_names_that_do_not_match(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", {**CARD, "class_names": ["a", "b"]})
    _fails(str(tmp_path / "w.safetensors"), "class-names-mismatch", "2 class names are given for 6 classes")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input_size": [32, 32]}, "input_size is [32, 32]"), ({"mean": [0.5, "x", 0.5]}, "mean is"), ({"mean": [float("nan")] * 3}, "mean is"),
        ({"std": [0.5, 0.0, 0.5]}, "all above 0"), ({"crop_pct": 1.5}, "crop_pct is 1.5"), ({"interpolation": "cubic"}, "interpolation is 'cubic'"),
        ({"interpolation": ["bicubic"]}, "interpolation is"), ({"crop_mode": "left"}, "crop_mode is 'left'"), ({"num_classes": "six"}, "num_classes is 'six'"),
        ({"num_classes": 7}, "contradicts itself"), ({"class_names": "abcdef"}, "class_names is"), ({"class_names": [1, 2]}, "class_names is"),
        ({"model_args": [1]}, "model_args is"), ({"architecture": 3}, "architecture is 3"), ({"pretrained_cfg": "x"}, "pretrained_cfg is"),
        ({"pretrained_cfg": {"fixed_input_size": True, "input_size": 3}, "input_size": None}, "input_size is 3"),
    ],
)
def test_a_sidecar_with_a_wrong_value(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", {**CARD, **changed})
    _fails(str(tmp_path / "w.safetensors"), "sidecar-invalid", "w.json", said)


@pytest.mark.parametrize(("content", "said"), [("{", "not valid JSON"), ("[1]", "a JSON list"), ("\udcff", "not valid JSON")])
def test_a_sidecar_that_is_no_json_object(tmp_path: Path, content: str, said: str) -> None:
    _weights(tmp_path / "w.safetensors")
    (tmp_path / "w.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    _fails(str(tmp_path / "w.safetensors"), "sidecar-invalid", said)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    _fails(str(tmp_path), "no-weights-in-folder", ".safetensors")


def test_a_folder_with_several_weights(tmp_path: Path) -> None:
    _weights(tmp_path / "a.safetensors")
    _weights(tmp_path / "b.safetensors")
    _fails(str(tmp_path), "several-weights-in-folder", "a.safetensors, b.safetensors")


def test_a_folder_with_shards(tmp_path: Path) -> None:
    _weights(tmp_path / "model-00001-of-00002.safetensors")
    _json(tmp_path / "model.safetensors.index.json", {})
    _fails(str(tmp_path), "sharded-weights", "shards")


# --- references that lead nowhere ---


def test_a_path_that_is_not_there_names_its_neighbour(tmp_path: Path) -> None:
    _weights(tmp_path / "vit_small.safetensors")
    _fails(str(tmp_path / "vit_smal.safetensors"), "checkpoint-not-found", "vit_small.safetensors")
    _fails(str(tmp_path / "none" / "w.pth"), "checkpoint-not-found", "no folder")


def test_a_name_that_is_nothing() -> None:
    _fails("deit_tny_patch16_224", "checkpoint-not-found", "no embedded checkpoint, no file or folder", "deit_tiny_patch16_224")
    _fails("someone/model", "checkpoint-not-found", "hf-hub:someone/model")
    _fails("", "checkpoint-not-found", "empty")


def test_an_unknown_tag_names_the_known() -> None:
    _fails(f"{ARCHITECTURE}.augreg_in22k", "unknown-tag", "vit_tiny_patch16_224.augreg_in21k")


def test_a_timm_architecture_without_weights() -> None:
    _fails("vit_base_patch16_18x2_224", "no-pretrained-weights", "--random-weights")


def test_timm_weights_that_are_not_on_the_hub() -> None:
    _fails("gcvit_tiny", "no-hub-weights", "https://", "--arch")


def test_random_weights_of_a_timm_name_need_no_network() -> None:
    spec = CheckpointSpec(ARCHITECTURE, arguments={"img_size": 32, "depth": 1}, random_weights=True)
    found = resolve(spec)
    assert (found.num_classes, found.preprocessing.input_size, found.preprocessing.mean) == (1000, (3, 32, 32), (0.5, 0.5, 0.5))


# --- the embedded checkpoints ---


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(embedded, "_ZOO", tmp_path)
    return tmp_path


def test_an_embedded_checkpoint_goes_before_a_file_of_its_name(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _weights(zoo / "little.safetensors")
    _json(zoo / "little.json", CARD)
    _json(zoo / "without.json", CARD)
    monkeypatch.chdir(zoo)
    (zoo / "little").mkdir()
    assert zoo_names() == ("little",)
    found = resolve(CheckpointSpec("little"))
    assert (found.name, found.origin, found.path) == ("little", Origin.ZOO, zoo / "little.safetensors")
    preflight(load_model(found), seed=0)
    _fails("litle", "checkpoint-not-found", "little")


@pytest.mark.parametrize("name", embedded.zoo_names())
def test_every_embedded_checkpoint_runs(name: str) -> None:
    preflight(load_model(resolve(CheckpointSpec(name))), seed=0)


def test_listing_the_embedded_imports_no_torch() -> None:
    code = "import sys; from efficient360.embedded import zoo_names; zoo_names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the hub ---


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache without a network."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def _cached(cache: Path, repository: str, commit: str = COMMIT) -> Path:
    """The snapshot folder of a repository in a cache, laid out as huggingface_hub lays it."""
    root = cache / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(commit)
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    return snapshot


@pytest.mark.parametrize("prefix", ["hf-hub:", "hf_hub:"])
@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_a_cached_repository_needs_no_network(cache: Path, prefix: str, revision: str) -> None:
    snapshot = _cached(cache, "someone/tiny")
    _weights(snapshot / "model.safetensors")
    _json(snapshot / "config.json", CARD)
    found = resolve(CheckpointSpec(f"{prefix}someone/tiny{revision}"))
    assert (found.origin, found.digest) == (Origin.HUB, digest(_network().state_dict()))
    assert (found.card["repository"], found.card["revision"]) == ("someone/tiny", COMMIT)
    preflight(load_model(found), seed=0)


def test_a_cached_pickle_serves_where_there_is_no_safetensors(cache: Path) -> None:
    snapshot = _cached(cache, "someone/tiny")
    torch.save(_network().state_dict(), snapshot / "pytorch_model.bin")
    _json(snapshot / "config.json", CARD)
    found = resolve(CheckpointSpec("hf-hub:someone/tiny"))
    assert found.path == snapshot / "pytorch_model.bin"


def test_a_cached_timm_tag(cache: Path) -> None:
    name = "test_vit.r160_in1k"
    snapshot = _cached(cache, f"timm/{name}")
    torch.manual_seed(0)
    network = timm.create_model("test_vit")
    save_file(network.state_dict(), snapshot / "model.safetensors")
    found = resolve(CheckpointSpec(name))
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    assert found.architecture == "test_vit"
    assert found.preprocessing.input_size == config["input_size"]
    assert (found.preprocessing.mean, found.preprocessing.crop_pct) == (config["mean"], config["crop_pct"])
    assert found.card["preprocessing_source"] == f"timm's configuration of {name}"
    assert found.num_classes == 1000
    assert found.digest == digest(network.state_dict())
    assert resolve(CheckpointSpec("test_vit")).digest == found.digest


def test_a_timm_tag_at_another_size(cache: Path) -> None:
    snapshot = _cached(cache, "timm/test_vit.r160_in1k")
    torch.manual_seed(0)
    network = timm.create_model("test_vit").eval()
    save_file(network.state_dict(), snapshot / "model.safetensors")
    found = resolve(CheckpointSpec("test_vit", arguments={"img_size": 96}))
    assert found.card["adapted"] == "position embedding resampled for 96 x 96 images"
    oracle = timm.create_model("test_vit", pretrained=True, img_size=96).eval()
    model = load_model(found)
    images = torch.rand(1, 3, 96, 96)
    torch.testing.assert_close(model(images), oracle(model.module.normalise(images)).detach())


def test_a_cached_transformers_repository(cache: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    snapshot = _cached(cache, "someone/vit")
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48, "image_size": 32, "patch_size": 8, "num_labels": 4}
    ViTForImageClassification(ViTConfig(**sizes)).save_pretrained(snapshot)
    _json(snapshot / "preprocessor_config.json", {"size": {"height": 32, "width": 32}, "image_mean": [0.1, 0.1, 0.1], "image_std": [0.2, 0.2, 0.2]})
    found = resolve(CheckpointSpec("hf-hub:someone/vit"))
    assert (found.num_classes, found.preprocessing.mean) == (4, (0.1, 0.1, 0.1))
    preflight(load_model(found), seed=0)


def test_a_timm_model_that_transformers_saved(tmp_path: Path) -> None:
    from transformers import TimmWrapperConfig, TimmWrapperForImageClassification

    model = TimmWrapperForImageClassification(TimmWrapperConfig(architecture="test_vit", num_labels=5, do_pooling=True)).eval()
    model.save_pretrained(tmp_path)
    found = resolve(CheckpointSpec(str(tmp_path)))
    loaded = load_model(found)
    images = torch.rand(1, 3, 160, 160)
    torch.testing.assert_close(loaded(images), model(loaded.module.normalise(images)).logits.detach())


def test_the_hub_out_of_reach(cache: Path) -> None:
    for reference in ("hf-hub:someone/tiny", "deit_tiny_patch16_224"):
        _fails(reference, "hub-unreachable", "can't be reached", "embedded")


def test_the_hub_is_asked_once_where_nothing_answers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def silent(url: str, **_: Any) -> None:
        asked.append(url)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", silent)
    _fails("hf-hub:someone/tiny", "hub-unreachable", "refused")
    assert len(asked) == 1


def _answer(kind: type[errors.HfHubHTTPError], status: int) -> errors.HfHubHTTPError:
    module = __import__(errors.HfHubHTTPError.__mro__[1].__module__.partition(".")[0])
    response = module.Response(status, request=module.Request("HEAD", "https://example.org"))
    return kind("no", response=response)


@pytest.mark.parametrize(
    ("kind", "status", "code", "said"),
    [
        (errors.RepositoryNotFoundError, 404, "hub-repository-not-found", "someone/tiny"), (errors.GatedRepoError, 403, "hub-gated", "hf auth login"),
        (errors.RevisionNotFoundError, 404, "hub-revision-not-found", "'v2'"), (errors.RemoteEntryNotFoundError, 404, "hub-no-config", "config.json"),
        (errors.HfHubHTTPError, 503, "hub-unreachable", "can't be reached"),
    ],
)
def test_what_the_hub_answers(cache: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, status: int, code: str, said: str) -> None:
    def answer(*_: Any, **__: Any) -> None:
        raise _answer(kind, status)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", answer)
    _fails("hf-hub:someone/tiny@v2", code, said)


def test_a_repository_without_weights(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _json(_cached(cache, "someone/tiny") / "config.json", CARD)

    def absent(*_: Any, **__: Any) -> None:
        raise _answer(errors.RemoteEntryNotFoundError, 404)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", absent)
    _fails("hf-hub:someone/tiny", "hub-no-weights", "model.safetensors")


def test_a_name_that_no_repository_can_have(cache: Path) -> None:
    _fails("hf-hub:a/b/c", "hub-name-invalid", "a/b/c")
    _fails("hf-hub:", "hub-name-invalid")


def test_names_of_repositories() -> None:
    assert parse_repository("hf-hub:a/b@v1") == Repository("a/b", "v1")
    assert parse_repository("hf_hub:a/b") == Repository("a/b", None)
    assert str(Repository("a/b", "v1")) == "a/b@v1"
    assert commit_of(Path("x/snapshots") / COMMIT / "config.json") == COMMIT
    assert commit_of(Path("x/snapshots/main/config.json")) == ""


def test_equal_specs_resolve_to_equal_checkpoints(tmp_path: Path) -> None:
    _weights(tmp_path / "w.safetensors")
    _json(tmp_path / "w.json", CARD)
    spec = CheckpointSpec(str(tmp_path / "w.safetensors"))
    first, second = resolve(spec), resolve(spec)
    assert isinstance(first, Checkpoint)
    assert first == second
