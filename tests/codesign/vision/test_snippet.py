from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from efficient360.codesign.vision.snippet import _geometry, snippet
from efficient360.datasets.images import transform_for
from efficient360.deployment.runtimes.runtime import Artefact, Converted, Precision
from efficient360.models.checkpoint import Preprocessing


def shape(size: int, **rest: object) -> Preprocessing:
    return Preprocessing((3, size, size), (0.5,) * 3, (0.5,) * 3, **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "preprocessing", [shape(32), shape(24, crop_pct=0.875), shape(16, crop_pct=0.9, interpolation="bilinear"), shape(20, crop_mode="squash")]
)
@pytest.mark.parametrize("size", [(32, 32), (47, 33), (33, 80)])
def test_images_are_prepared_as_timm_prepares_them(preprocessing: Preprocessing, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    names = {"image": Image.fromarray(pixels), "Image": Image}
    exec(_geometry(preprocessing), names)
    np.testing.assert_array_equal(np.asarray(names["image"]).transpose(2, 0, 1), transform_for(preprocessing)(Image.fromarray(pixels)))


@pytest.mark.parametrize("preprocessing", [shape(32, crop_mode="border"), shape(32, processor="x")])
def test_what_a_few_lines_cannot_prepare_has_no_program(preprocessing: Preprocessing) -> None:
    artefact = Artefact("litert", Precision.FP32, 1, (3, 32, 32), Path(), "", 0, {}, 0.0, Converted({"model": "model.tflite"}))
    assert snippet(artefact, preprocessing, 1) == ""
    assert "num_threads=2" in snippet(artefact, shape(32), 2)
