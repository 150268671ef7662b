"""Movement against torchvision on Pillow images, and tilting against OpenCV or Pillow."""

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as vision

from efficient360.methods.corruptions.imagenet_p import CIFAR_P, IMAGENET_P
from efficient360.methods.corruptions.warping import pad_reflect, rotation, scaling, tilt, translate, warp, warp_fading

RNG = np.random.default_rng(0)


def moved(pixels: np.ndarray, angle: float = 0, scale: float = 1, right: int = 0) -> np.ndarray:
    """What the reference does: torchvision's affine map of a Pillow image, bilinear but for whole pixels."""
    mode = InterpolationMode.NEAREST if right else InterpolationMode.BILINEAR
    picture = Image.fromarray(pixels.transpose(1, 2, 0))
    made = vision.affine(picture, angle=angle, translate=[right, 0], scale=scale, shear=[0.0], interpolation=mode)
    return np.asarray(made).transpose(2, 0, 1)


def seen(height: int, width: int, degrees: float) -> np.ndarray:
    """The reference's matrix of a tilt, factor by factor: from pixels of the image to pixels of the result."""
    focal, turn = np.sqrt(width**2 + height**2), np.deg2rad(degrees)
    c, s = np.cos(turn), np.sin(turn)
    lift = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1], [0, 0, 1]])
    about_x = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    about_y = np.array([[c, 0, -s, 0], [0, 1, 0, 0], [s, 0, c, 0], [0, 0, 0, 1]])
    away = np.eye(4)
    away[2, 3] = focal
    drop = np.array([[focal, 0, width / 2, 0], [0, focal, height / 2, 0], [0, 0, 1, 0]])
    return drop @ away @ about_x @ about_y @ lift


def agree(mine: np.ndarray, theirs: np.ndarray, levels: int) -> None:
    """Equal but for rounding, black borders included: which side a border pixel falls on may differ in the last bit."""
    apart = np.abs(mine.astype(int) - theirs)
    assert (apart > levels).mean() < 0.002
    assert (mine == 0).all(axis=0).mean() == pytest.approx((theirs == 0).all(axis=0).mean(), abs=0.002)


@pytest.mark.parametrize("degrees", [-15, -4, 0, 1, 13])
@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 45, 60)])
def test_turned_as_torchvision_turns(shape: tuple[int, int, int], degrees: int) -> None:
    pixels = RNG.integers(1, 256, shape, dtype=np.uint8)
    agree(warp(pixels, rotation(degrees, *shape[1:]), 0), moved(pixels, angle=degrees), 1)


@pytest.mark.parametrize("factor", [0.4, 0.72, 1.0, 1.06, 1.3])
@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 45, 60)])
def test_scaled_as_torchvision_scales(shape: tuple[int, int, int], factor: float) -> None:
    pixels = RNG.integers(1, 256, shape, dtype=np.uint8)
    agree(warp(pixels, scaling(factor, *shape[1:]), 0), moved(pixels, scale=factor), 1)


@pytest.mark.parametrize("right", [-20, -7, 0, 1, 8])
def test_shifted_as_torchvision_shifts(right: int) -> None:
    pixels = RNG.integers(1, 256, (3, 24, 32), dtype=np.uint8)
    np.testing.assert_array_equal(translate(pixels, right, 0), moved(pixels, right=right))


@pytest.mark.parametrize("degrees", [-15, -3.75, 0, 6, 11.25])
@pytest.mark.parametrize("shape", [(32, 32), (48, 64)])
def test_tilted_as_the_references_matrix_tilts(scene: np.ndarray, shape: tuple[int, int], degrees: float) -> None:
    pixels = np.ascontiguousarray(scene[:, : shape[0], : shape[1]])
    made = warp(pixels, tilt(degrees, *shape), 0).astype(int)
    whole, size = seen(*shape, degrees), (shape[1], shape[0])
    # Pillow counts from the corners of pixels, and wants the way back.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    back = half @ np.linalg.inv(whole) @ np.linalg.inv(half)
    picture, eight = Image.fromarray(pixels.transpose(1, 2, 0)), (back / back[2, 2]).ravel()[:8]
    theirs = picture.transform(size, Image.Transform.PERSPECTIVE, eight, Image.Resampling.BILINEAR)
    agree(made, np.asarray(theirs).transpose(2, 0, 1), 1)


def test_tilted_as_opencv_tilts(scene: np.ndarray) -> None:
    cv2 = pytest.importorskip("cv2", reason="the optional OpenCV is not installed")
    for step, degrees in ((0, -11.25), (20, 3.75)):
        made = CIFAR_P["tilt"].effect.frames(scene, range(step, step + 1), RNG)[0].astype(int)
        theirs = cv2.warpPerspective(np.ascontiguousarray(scene.transpose(1, 2, 0)), seen(48, 64, degrees), (64, 48)).transpose(2, 0, 1)
        assert (np.abs(made - theirs) > 1).mean() < 0.01  # releases of OpenCV before 5 interpolate on a grid of 1/32 pixel


def test_the_outermost_pixels_fade_into_black() -> None:
    """A quarter of a pixel to the right: the left column is three quarters of itself."""
    quarter = np.array([[1, 0, -0.25], [0, 1, 0], [0, 0, 1.0]])
    white = np.full((3, 4, 5), 200, np.uint8)
    assert warp_fading(white, quarter, 0)[0, 1].tolist() == [150, 200, 200, 200, 200]
    assert warp(white, quarter, 0)[0, 1].tolist() == [200] * 5


def test_a_margin_is_mirrored_and_black_comes_after() -> None:
    row = np.tile(np.arange(10, 16, dtype=np.uint8), (3, 2, 1))
    wide = pad_reflect(np.tile(row, (1, 2, 1)), 2)
    assert wide[0, 2].tolist() == [12, 11, 10, 11, 12, 13, 14, 15, 14, 13]
    assert translate(wide, 3, 2)[0, 0].tolist() == [0, 12, 11, 10, 11, 12]
    assert translate(wide, -1, 2)[0, 0].tolist() == [11, 12, 13, 14, 15, 14]


@pytest.mark.parametrize(("name", "table"), [("rotate", CIFAR_P), ("scale", CIFAR_P), ("rotate", IMAGENET_P), ("scale", IMAGENET_P)])
def test_a_sequence_passes_through_the_clean_image(scene: np.ndarray, name: str, table: dict) -> None:
    clean = {("rotate", 31): 15, ("scale", 31): 15 if table is CIFAR_P else 24}[name, table[name].length]
    (made,) = table[name].effect.frames(scene, range(clean, clean + 1), RNG)
    np.testing.assert_array_equal(made, scene)


def test_imagenet_p_cuts_the_middle_out_of_the_wider_image(scene: np.ndarray) -> None:
    """Sixteen mirrored pixels on every side, moved by torchvision, then the middle cut out."""
    wide = pad_reflect(scene, 16)
    for name, step, wanted in (
        ("rotate", 3, moved(wide, angle=-12)),
        ("scale", 4, moved(wide, scale=0.5)),
        ("translate", 1, moved(wide, right=-19)),
    ):
        (made,) = IMAGENET_P[name].effect.frames(scene, range(step, step + 1), RNG)
        agree(made, wanted[:, 16:-16, 16:-16], 1)
