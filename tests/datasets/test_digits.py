import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from datasets import Dataset
from efficient360.datasets.digits import digits
from efficient360.errors import DatasetError


@pytest.fixture(scope="module")
def halves() -> dict[str, Dataset]:
    return {split: digits(split) for split in ("train", "test")}


def _pixels(rows: Dataset) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"]))) for image in rows["image"]])


def _kernel() -> np.ndarray:
    """The (32, 8) matrix of Keys' cubic convolution with a = −1/2 (Keys 1981), weights cut off at the border and normalised."""
    distance = np.abs((np.arange(32)[:, None] + 0.5) / 4 - (np.arange(8) + 0.5))
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0.0))
    return weights / weights.sum(1, keepdims=True)


def test_the_halves_are_the_whole_in_scikit_learns_order(halves: dict[str, Dataset]) -> None:
    assert (len(halves["train"]), len(halves["test"])) == (900, 897)
    ids, labels = ([*halves["train"][column], *halves["test"][column]] for column in ("id", "label"))
    assert ids == [f"digits/{i:04d}" for i in range(1797)]
    assert labels == load_digits().target.tolist()


def test_columns_are_typed_and_the_images_stay_encoded(halves: dict[str, Dataset]) -> None:
    features = halves["test"].features
    assert features["label"].names == list("0123456789")
    assert features["image"].decode is False
    cell = halves["test"][0]["image"]
    assert set(cell) == {"bytes", "path"}
    assert cell["path"] is None


def test_images_are_uncompressed_grey_ppm(halves: dict[str, Dataset]) -> None:
    for image in halves["test"]["image"]:
        assert image["bytes"].startswith(b"P6\n32 32\n255\n")
        assert len(image["bytes"]) == 13 + 32 * 32 * 3
    pixels = _pixels(halves["test"])
    assert (pixels.shape, pixels.dtype) == ((897, 32, 32, 3), np.uint8)
    assert (pixels == pixels[..., :1]).all()


@pytest.mark.parametrize(("split", "part"), [("train", slice(0, 900)), ("test", slice(900, None))])
def test_pixels_are_scikit_learns_under_cubic_convolution(halves: dict[str, Dataset], split: str, part: slice) -> None:
    grey = np.rint(load_digits().images[part] * 255 / 16)
    wide = np.clip(np.rint(grey @ _kernel().T), 0, 255)
    expected = np.clip(np.rint(_kernel() @ wide), 0, 255)
    difference = np.abs(_pixels(halves[split])[..., 0] - expected)
    assert difference.max() <= 2  # Pillow rounds ties up and works in fixed point, twice over
    assert (difference == 0).mean() > 0.99


def test_no_test_image_is_a_training_image(halves: dict[str, Dataset]) -> None:
    train, test = ({image["bytes"] for image in halves[split]["image"]} for split in ("train", "test"))
    assert not train & test


def test_writers_do_not_cross_the_split_but_for_six_images() -> None:
    """Most writers copied the same 130 digits: the fourth to the seventh did, and the seventh ends at 905."""
    labels = load_digits().target.tolist()
    sequence = labels[386:516]
    assert sequence[:20] == [*range(10)] * 2
    assert [labels[i : i + 130] == sequence for i in (386, 516, 646, 776)] == [True] * 4
    assert labels[906:925] == sequence[1:20]  # the eighth left out the first zero


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(DatasetError, match="no split 'validation'") as caught:
        digits("validation")
    assert caught.value.code == "unknown-split"
    assert "train, test" in caught.value.hint
