"""Attribution batches, random attributions, and methods by name or from a file."""

from pathlib import Path

import pytest
import torch
from toy_models import GRID, batch_of, linear_model, noise

from efficient360.core.batch import Batch
from efficient360.errors import PluginError, SettingsError
from efficient360.methods.attribution.catalogue import METHODS, attribution_method
from efficient360.methods.attribution.method import RandomAttribution, attribution_batches, target_logits, target_probabilities


@pytest.mark.parametrize("n", [1, 4, 5, 9])
def test_every_attribution_batch_has_the_same_size(n: int) -> None:
    model, images = linear_model(), noise(n)
    batch = Batch(tuple(f"x{i}" for i in range(n)), torch.zeros(n, dtype=torch.long), lambda: images, 3)
    parts = list(attribution_batches(model, batch, 4))
    assert [len(part) for part, _ in parts] == [4] * len(parts)
    assert sum(real for _, real in parts) == n
    assert [name for part, real in parts for name in part.ids[:real]] == list(batch.ids)
    assert torch.equal(torch.cat([part.images[:real] for part, real in parts]), images)
    assert torch.equal(torch.cat([part.targets[:real] for part, real in parts]), model(images).argmax(1))
    last, real = parts[-1]
    assert all(torch.equal(image, images[-1]) for image in last.images[real:])
    assert last.seed == 3


def test_random_draws_are_seeded_by_the_example() -> None:
    batch = batch_of(linear_model(), noise(3))
    alone = type(batch)(batch.images[2:], batch.targets[2:], ("x2",), 0)
    values = RandomAttribution().attribute(linear_model(), GRID, batch)
    assert torch.equal(RandomAttribution().attribute(linear_model(), GRID, alone)[0], values[2])
    assert not torch.equal(values[0], values[1])
    assert len({float(rng.random()) for salt in ("a", "b") for rng in batch.generators(salt)}) == 6


def test_probability_and_logit_are_those_of_the_class() -> None:
    model = linear_model()
    batch = batch_of(model, noise(3))
    out = model(batch.images)
    assert torch.allclose(target_logits(model, batch), out.amax(1))
    assert torch.allclose(target_probabilities(model, batch), out.softmax(1).amax(1))


def test_every_method_of_the_catalogue_has_its_name() -> None:
    assert [attribution_method(name, 3, 0).name for name in METHODS] == list(METHODS)
    with pytest.raises(SettingsError) as caught:
        attribution_method("lime", 3, 0)
    assert caught.value.code == "unknown-explainer"


@pytest.mark.parametrize(("text", "code"), [(None, "no-plugin"), ("1/0", "broken-plugin"), ("x = 1", "no-explainer")])
def test_a_broken_file_of_a_method_is_refused(text: str | None, code: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PluginError, match=r"mine\.py") as caught:
        attribution_method(str(path), 3, 0)
    assert caught.value.code == code
