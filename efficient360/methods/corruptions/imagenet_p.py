"""ImageNet-P and CIFAR-10-P: the published strength and number of frames of every perturbation, and the frames of an image made with them.

The constants are those of https://github.com/hendrycks/robustness (Hendrycks & Dietterich 2019): ``make_imagenet_p.py`` for images of 224 pixels,
``make_cifar_p.py`` for images of 32; noise at the weakest of its three strengths, which ``test.py`` takes by default.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from efficient360.methods.corruptions import imagenet_c
from efficient360.methods.corruptions.corruption import Pixels, example_generator
from efficient360.methods.corruptions.noise import GaussianNoise, ShotNoise
from efficient360.methods.corruptions.perturbation_sequences import (
    BrightnessSequence,
    MotionBlurSequence,
    NoiseSequence,
    Perturbation,
    SnowSequence,
    TranslationSequence,
    WarpSequence,
    ZoomBlurSequence,
)
from efficient360.methods.corruptions.warping import rotation, scaling, tilt, warp_fading
from efficient360.methods.corruptions.weather import Snow

_MARGIN = 16
"""ImageNet-P moves an image of 256 pixels and crops the middle 224: this many pixels surround what the model sees."""

IMAGENET_P: Final[Mapping[str, Perturbation]] = {
    "gaussian_noise": Perturbation(NoiseSequence(GaussianNoise(0.03)), 31, "first"),
    "shot_noise": Perturbation(NoiseSequence(ShotNoise(300)), 31, "first"),
    "motion_blur": Perturbation(MotionBlurSequence(10, 3, -120, 4), 31),
    "zoom_blur": Perturbation(ZoomBlurSequence(0.004), 31),
    "snow": Perturbation(SnowSequence(Snow(0.05, 0.3, 3, 0.5, 14, 4, 0.85), -150, 4), 31),
    "brightness": Perturbation(BrightnessSequence(-0.3, 0.02), 31),
    "translate": Perturbation(TranslationSequence(-20, _MARGIN), 41),
    "rotate": Perturbation(WarpSequence(rotation, -15, 1, _MARGIN), 31),
    "tilt": Perturbation(WarpSequence(tilt, -15, 1, _MARGIN, warp_fading), 31),
    "scale": Perturbation(WarpSequence(scaling, 0.4, 0.025, _MARGIN), 31),
}
"""For 224 pixels."""

CIFAR_P: Final[Mapping[str, Perturbation]] = {
    "gaussian_noise": Perturbation(NoiseSequence(GaussianNoise(0.02)), 31, "first"),
    "shot_noise": Perturbation(NoiseSequence(ShotNoise(700)), 31, "first"),
    "motion_blur": Perturbation(MotionBlurSequence(6, 1.8, -180, 9), 21),
    "zoom_blur": Perturbation(ZoomBlurSequence(0.004), 31),
    "snow": Perturbation(SnowSequence(Snow(0.05, 0.3, 2, 0.5, 10, 2, 0.85), -150, 4), 31),
    "brightness": Perturbation(BrightnessSequence(-0.225, 0.015), 31),
    "translate": Perturbation(TranslationSequence(-7, 0), 16),
    "rotate": Perturbation(WarpSequence(rotation, -15, 1, 0), 31),
    "tilt": Perturbation(WarpSequence(tilt, -11.25, 0.75, 0, warp_fading), 31),
    "scale": Perturbation(WarpSequence(scaling, 0.7, 0.02, 0), 31),
}
"""For 32 pixels."""

PERTURBATIONS: Final = tuple(IMAGENET_P)
"""The ten perturbations of the mean flip rate."""
TABLES: Final[Mapping[str, Mapping[str, Perturbation]]] = {"imagenet-p": IMAGENET_P, "cifar-p": CIFAR_P}
_MATCHING: Final = {"imagenet-c": "imagenet-p", "cifar-c": "cifar-p"}


def resolve_table(table: str, height: int, width: int) -> str:
    """The table of perturbations to use for images of a size; ``auto`` chooses as it does for corruptions."""
    return table if table != "auto" else _MATCHING[imagenet_c.resolve_table("auto", height, width)]


@final
@dataclass(frozen=True)
class SequenceSelection:
    """Which sequences are shown of each image.

    Args:
        perturbations: Names, in order.
        table: Table of perturbations: ``imagenet-p`` or ``cifar-p``.
        max_frames: Most frames per perturbation, at least 2; ``None`` for all that the table has.
    """

    perturbations: tuple[str, ...]
    table: str
    max_frames: int | None

    def perturbation(self, name: str) -> Perturbation:
        """The perturbation of a name."""
        return TABLES[self.table][name]

    def steps(self, name: str) -> range:
        """Numbers of the frames shown of a perturbation."""
        return self.perturbation(name).steps(self.max_frames)

    def is_shortened(self, name: str) -> bool:
        """Whether fewer frames of a perturbation are shown than the table has."""
        return len(self.steps(name)) < self.perturbation(name).length

    def frames(self, pixels: Pixels, example: str, name: str, seed: int) -> Pixels:
        """One image under one perturbation, uint8 ``(T, 3, H, W)``: depends on the image, its example id, the perturbation and the seed alone."""
        # Corruptions count severities from 1: 0 keeps a perturbation's randomness apart from that of the corruption of the same name.
        return self.perturbation(name).effect.frames(pixels, self.steps(name), example_generator(seed, example, name, 0))
