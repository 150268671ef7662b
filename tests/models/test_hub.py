from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import constants, errors
from little_vit import CARD, fails, little_network, write_json, write_weights
from safetensors.torch import save_file

from efficient360.models.building import load_model
from efficient360.models.checkpoint import CheckpointSpec, Origin
from efficient360.models.hub import Repository, commit_of, parse_repository
from efficient360.models.model import preflight
from efficient360.models.references import resolve
from efficient360.models.weights import digest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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
    write_weights(snapshot / "model.safetensors")
    write_json(snapshot / "config.json", CARD)
    found = resolve(CheckpointSpec(f"{prefix}someone/tiny{revision}"))
    assert (found.origin, found.digest) == (Origin.HUB, digest(little_network().state_dict()))
    assert (found.card["repository"], found.card["revision"]) == ("someone/tiny", COMMIT)
    preflight(load_model(found), seed=0)


def test_a_cached_pickle_serves_where_there_is_no_safetensors(cache: Path) -> None:
    snapshot = _cached(cache, "someone/tiny")
    torch.save(little_network().state_dict(), snapshot / "pytorch_model.bin")
    write_json(snapshot / "config.json", CARD)
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
    write_json(snapshot / "preprocessor_config.json", {"size": {"height": 32, "width": 32}, "image_mean": [0.1, 0.1, 0.1], "image_std": [0.2, 0.2, 0.2]})
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
        fails(reference, "hub-unreachable", "can't be reached", "embedded")


def test_the_hub_is_asked_once_where_nothing_answers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def silent(url: str, **_: Any) -> None:
        asked.append(url)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", silent)
    fails("hf-hub:someone/tiny", "hub-unreachable", "refused")
    assert len(asked) == 1


def _answer(kind: type[errors.HfHubHTTPError], status: int) -> errors.HfHubHTTPError:
    module = __import__(errors.HfHubHTTPError.__mro__[1].__module__.partition(".")[0])
    response = module.Response(status, request=module.Request("HEAD", "https://example.org"))
    return kind("no", response=response)


@pytest.mark.parametrize(
    ("kind", "status", "code", "said"),
    [
        (errors.RepositoryNotFoundError, 404, "hub-repository-not-found", "someone/tiny"),
        (errors.GatedRepoError, 403, "hub-gated", "hf auth login"),
        (errors.RevisionNotFoundError, 404, "hub-revision-not-found", "'v2'"),
        (errors.RemoteEntryNotFoundError, 404, "hub-no-config", "config.json"),
        (errors.HfHubHTTPError, 503, "hub-unreachable", "can't be reached"),
    ],
)
def test_what_the_hub_answers(cache: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, status: int, code: str, said: str) -> None:
    def answer(*_: Any, **__: Any) -> None:
        raise _answer(kind, status)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", answer)
    fails("hf-hub:someone/tiny@v2", code, said)


def test_a_repository_without_weights(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(_cached(cache, "someone/tiny") / "config.json", CARD)

    def absent(*_: Any, **__: Any) -> None:
        raise _answer(errors.RemoteEntryNotFoundError, 404)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", absent)
    fails("hf-hub:someone/tiny", "hub-no-weights", "model.safetensors")


def test_a_name_that_no_repository_can_have(cache: Path) -> None:
    fails("hf-hub:a/b/c", "hub-name-invalid", "a/b/c")
    fails("hf-hub:", "hub-name-invalid")


def test_names_of_repositories() -> None:
    assert parse_repository("hf-hub:a/b@v1") == Repository("a/b", "v1")
    assert parse_repository("hf_hub:a/b") == Repository("a/b", None)
    assert str(Repository("a/b", "v1")) == "a/b@v1"
    assert commit_of(Path("x/snapshots") / COMMIT / "config.json") == COMMIT
    assert commit_of(Path("x/snapshots/main/config.json")) == ""
