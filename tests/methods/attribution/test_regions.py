"""Annotated boxes and masks, the pointing game and relevance mass accuracy."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from toy_models import GRID

from efficient360.errors import SettingsError
from efficient360.methods.attribution.grid import Grid
from efficient360.methods.attribution.localisation import AnnotatedObjects, annotated_objects, pointing_hits, relevance_mass_accuracy
from efficient360.methods.attribution.regions import Box, Boxes, Mask, read_regions

HEAD = "id,left,top,right,bottom\n"
WIDE = Grid(2, 3, 6, 12)
"""Six cells of 3 × 4 pixels."""


def saved(pixels: NDArray[np.uint8], file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, format="PNG")
    return file


@st.composite
def pixel_boxes(draw: st.DrawFn, grid: Grid) -> list[tuple[int, int, int, int]]:
    found = []
    for _ in range(draw(st.integers(1, 4))):
        left, right = sorted(draw(st.lists(st.integers(0, grid.width), min_size=2, max_size=2, unique=True)))
        top, bottom = sorted(draw(st.lists(st.integers(0, grid.height), min_size=2, max_size=2, unique=True)))
        found.append((left, top, right, bottom))
    return found


@given(pixel_boxes(WIDE))
def test_boxes_and_masks_of_the_same_region_agree(tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[int, int, int, int]]) -> None:
    painted = np.zeros((WIDE.height, WIDE.width), dtype=np.uint8)
    for left, top, right, bottom in boxes:
        painted[top:bottom, left:right] = 255
    shares: tuple[Box, ...] = tuple((box[0] / 12, box[1] / 6, box[2] / 12, box[3] / 6) for box in boxes)
    boxed, masked = Boxes(shares).on_grid(WIDE), Mask(saved(painted, tmp_path_factory.mktemp("masks") / "a.png")).on_grid(WIDE)
    assert boxed.fractions == pytest.approx(masked.fractions, abs=1e-12)
    assert boxed.centres.tolist() == masked.centres.tolist()
    # by hand: the object's pixels, counted once
    assert boxed.fractions.sum() * 12 == pytest.approx((painted > 0).sum())


SIDES = st.tuples(st.integers(0, 29), st.integers(1, 30)).map(lambda side: (Fraction(min(side), 30), Fraction(max(side) + (side[0] == side[1]), 30)))


@settings(max_examples=50)
@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3))
def test_box_areas_are_exact(sides: list[tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction]]]) -> None:
    """Against inclusion and exclusion in fractions."""
    boxes = [(left, top, right, bottom) for (left, right), (top, bottom) in sides]

    def overlap(chosen: list[tuple[Fraction, ...]]) -> Fraction:
        width = min(box[2] for box in chosen) - max(box[0] for box in chosen)
        height = min(box[3] for box in chosen) - max(box[1] for box in chosen)
        return max(width, Fraction(0)) * max(height, Fraction(0))

    found = Boxes(tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in boxes)).on_grid(GRID)
    for cell in range(4):
        column, row = Fraction(cell % 2, 2), Fraction(cell // 2, 2)
        square = (column, row, column + Fraction(1, 2), row + Fraction(1, 2))
        area = Fraction(0)
        for chosen in range(1, 2 ** len(boxes)):
            some = [box for i, box in enumerate(boxes) if chosen >> i & 1]
            area += (-1) ** (len(some) + 1) * overlap([square, *some])
        assert found.fractions[cell] == pytest.approx(float(4 * area), abs=1e-12)


@pytest.mark.parametrize("times", [1, 2, 3, 4, 7])
def test_the_resolution_of_a_mask_does_not_matter(times: int, tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 0], [0, 0, 1]], dtype=np.uint8).repeat(times, 0).repeat(times, 1)
    grid = Grid(2, 3, 4, 6)
    cover = Mask(saved(pixels, tmp_path / "a.png")).on_grid(grid)
    assert cover.fractions.tolist() == [0, 1, 0, 0, 0, 1]
    assert cover.centres.tolist() == [False, True, False, False, False, True]


def test_the_aspect_ratio_may_differ_by_less_than_a_pixel(tmp_path: Path) -> None:
    assert Mask(saved(np.ones((5, 8), np.uint8), tmp_path / "a.png")).on_grid(Grid(2, 3, 200, 300)).fractions.tolist() == [1] * 6  # 5 × 7.5
    with pytest.raises(SettingsError, match=r"the mask .*b\.png has 7 × 5 pixels, and the model sees images of 224 × 224"):
        Mask(saved(np.ones((5, 7), np.uint8), tmp_path / "b.png")).on_grid(Grid(14, 14, 224, 224))


def test_non_zero_pixels_are_object_in_every_kind_of_png(tmp_path: Path) -> None:
    seen = {}
    grey = np.array([[0, 1], [128, 255]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 256).save(tmp_path / "deep.png")
    Image.fromarray(grey > 0).save(tmp_path / "bits.png")
    palette = Image.fromarray(grey, "P")
    palette.putpalette([200] * 3 * 256)  # the number counts, not its colour
    palette.save(tmp_path / "palette.png")
    Image.fromarray(np.stack([0 * grey, grey, 0 * grey], 2)).save(tmp_path / "colour.png")
    alpha = np.full_like(grey, 255)
    Image.fromarray(np.stack([grey, alpha], 2), "LA").save(tmp_path / "grey-and-alpha.png")
    Image.fromarray(np.stack([alpha, alpha, alpha, grey], 2)).save(tmp_path / "cut-out.png")
    for file in sorted(tmp_path.iterdir()):
        seen[file.stem] = Mask(file).on_grid(GRID).fractions.tolist()
    assert len(seen) == 7
    assert all(fractions == [0, 1, 1, 1] for fractions in seen.values()), seen


def test_pointing_game_and_relevance_mass_by_hand() -> None:
    objects = AnnotatedObjects(
        torch.tensor([True, True, True, False]),
        torch.tensor([[1, 0, 0, 0], [0.25, 0.5, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0]], dtype=torch.float64),
        torch.tensor([[True, False, False, False], [False, True, False, True], [True, True, True, False], [False] * 4]),
    )
    values = torch.tensor([[2.0, 1.0, 1.0, -9.0], [1.0, 2.0, 4.0, 3.0], [-1.0, -2.0, 0.0, -3.0], [1.0, 0.0, 0.0, 0.0]])
    assert pointing_hits(values, objects).tolist() == [True, False, True, False]
    assert relevance_mass_accuracy(values, objects).tolist() == [0.5, pytest.approx((0.25 + 1 + 3) / 10), 0.0, 0.0]
    assert relevance_mass_accuracy(torch.ones(4, 4), objects).tolist() == pytest.approx(
        objects.fractions.mean(1).tolist()
    )  # knows nothing: the object's share of the image


def test_relevance_mass_is_the_fraction_of_a_pixel_map_in_the_mask(tmp_path: Path) -> None:
    """Pixel by pixel, as the paper has it."""
    rng = np.random.default_rng(0)
    mask, values = rng.random((6, 12)) > 0.6, rng.normal(size=6)
    objects = annotated_objects({"a": Mask(saved(255 * mask.astype(np.uint8), tmp_path / "a.png"))}, WIDE, ["a"])
    heat = np.kron(values.reshape(2, 3), np.ones((3, 4)) / 12).clip(0)
    assert float(relevance_mass_accuracy(torch.from_numpy(values)[None], objects)[0]) == pytest.approx(heat[mask].sum() / heat.sum())


def test_examples_without_an_object_are_not_annotated(tmp_path: Path) -> None:
    for name, pixels in (("full", np.ones((4, 4), np.uint8)), ("empty", np.zeros((4, 4), np.uint8))):
        saved(pixels, tmp_path / f"{name}.png")
    found = annotated_objects(read_regions(tmp_path), GRID, ("full", "empty", "none"))
    assert found.annotated.tolist() == [True, False, False]
    assert found.fractions.tolist() == [[1] * 4, [0] * 4, [0] * 4]


def test_a_file_gives_each_example_its_boxes(tmp_path: Path) -> None:
    file = tmp_path / "boxes.csv"
    file.write_text(HEAD + "x0,0,0,0.5,0.5\nx1,0,0,0.2,0.2\nx1,0.6,0.5,1,1\nx2,0,0,0.2,1\n")
    regions = read_regions(file)
    assert regions["x1"] == Boxes(((0, 0, 0.2, 0.2), (0.6, 0.5, 1, 1)))
    found = annotated_objects(regions, GRID, ("x0", "x1", "x2", "x3"))
    assert found.annotated.tolist() == [True, True, True, False]
    assert found.fractions.numpy() == pytest.approx(np.array([[1, 0, 0, 0], [0.16, 0, 0, 0.8], [0.4, 0, 0.4, 0], [0] * 4]))
    assert pointing_hits(torch.eye(4)[[0, 3, 0, 0]], found).tolist() == [True, True, False, False]


def test_masks_are_named_by_example_id(tmp_path: Path) -> None:
    names = ["test/00012.png", "cat/a b.jpg.png", "n%3A1%2F%C3%A9.PNG", "100%25.png"]
    for name in names:
        saved(np.ones((2, 2), np.uint8), tmp_path / name)
    (tmp_path / "readme.txt").write_text("no mask")
    assert set(read_regions(tmp_path)) == {"test/00012", "cat/a b.jpg", "n:1/é", "100%"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no file or folder of regions .*boxes.csv"),
        ("", "has the columns none"),
        ("id,x,y\n", "has the columns id,x,y"),
        (f"{HEAD}a,0,0,1\n", "line 2 of .*boxes.csv is not a box: a,0,0,1,None"),
        (f"{HEAD}a,0,0,1,1\na,0,0,ten,1\n", "line 3 of .*boxes.csv is not a box: a,0,0,ten,1"),
        (f"{HEAD}a,0.5,0,0.5,1\n", "is not a box"),
        (f"{HEAD}a,0,0,120,80\n", "is not a box"),
    ],
)
def test_an_invalid_file_of_boxes_is_refused(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "boxes.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_regions(file)
    assert caught.value.code == "bad-regions"


def test_an_invalid_folder_of_masks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mask.jpg").write_text("")
    with pytest.raises(SettingsError, match="the folder of regions .* holds no PNG masks") as caught:
        read_regions(tmp_path)
    assert caught.value.code == "bad-regions"
    for name in ("a/b.png", "a%2Fb.png"):
        saved(np.ones((2, 2), np.uint8), tmp_path / name)
    with pytest.raises(SettingsError, match="are both masks of the example a/b"):
        read_regions(tmp_path)


def test_a_mask_that_is_not_a_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.png").write_text("no image")
    Image.new("L", (4, 4)).save(tmp_path / "jpeg.png", format="JPEG")
    whole = saved(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8), tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name, reason in (("words", "it is not a PNG image"), ("jpeg", "it is not a PNG image"), ("cut", "truncated")):
        with pytest.raises(SettingsError, match=rf"the mask .*{name}\.png can't be read: .*{reason}") as caught:
            Mask(tmp_path / f"{name}.png").on_grid(GRID)
        assert caught.value.code == "bad-regions"
