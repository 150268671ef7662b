"""The perturbations as published: how strong, how many frames.

From https://github.com/hendrycks/robustness (Hendrycks & Dietterich 2019): ``make_imagenet_p.py`` for images of 224 pixels, ``make_cifar_p.py`` for
images of 32; of noise the weakest of the three strengths, which ``test.py`` takes by default.
"""

from collections.abc import Mapping
from typing import Final

from efficient360.methods.corruptions import tables
from efficient360.methods.corruptions.drifting import Brightening, Noisy, Snowfall, TurningBlur
from efficient360.methods.corruptions.moving import Approached, Translated, Warped
from efficient360.methods.corruptions.noise import GaussianNoise, ShotNoise
from efficient360.methods.corruptions.perturbation import Perturbation
from efficient360.methods.corruptions.warping import fading, rotation, scaling, tilt
from efficient360.methods.corruptions.weather import Snow

_MARGIN = 16
"""ImageNet-P moves an image of 256 pixels and cuts out the middle 224: this much lies about what the model sees."""

IMAGENET_P: Final[Mapping[str, Perturbation]] = {
    "gaussian_noise": Perturbation(Noisy(GaussianNoise(0.03)), 31, "first"),
    "shot_noise": Perturbation(Noisy(ShotNoise(300)), 31, "first"),
    "motion_blur": Perturbation(TurningBlur(10, 3, -120, 4), 31),
    "zoom_blur": Perturbation(Approached(0.004), 31),
    "snow": Perturbation(Snowfall(Snow(0.05, 0.3, 3, 0.5, 14, 4, 0.85), -150, 4), 31),
    "brightness": Perturbation(Brightening(-0.3, 0.02), 31),
    "translate": Perturbation(Translated(-20, _MARGIN), 41),
    "rotate": Perturbation(Warped(rotation, -15, 1, _MARGIN), 31),
    "tilt": Perturbation(Warped(tilt, -15, 1, _MARGIN, fading), 31),
    "scale": Perturbation(Warped(scaling, 0.4, 0.025, _MARGIN), 31),
}
"""For 224 pixels."""

CIFAR_P: Final[Mapping[str, Perturbation]] = {
    "gaussian_noise": Perturbation(Noisy(GaussianNoise(0.02)), 31, "first"),
    "shot_noise": Perturbation(Noisy(ShotNoise(700)), 31, "first"),
    "motion_blur": Perturbation(TurningBlur(6, 1.8, -180, 9), 21),
    "zoom_blur": Perturbation(Approached(0.004), 31),
    "snow": Perturbation(Snowfall(Snow(0.05, 0.3, 2, 0.5, 10, 2, 0.85), -150, 4), 31),
    "brightness": Perturbation(Brightening(-0.225, 0.015), 31),
    "translate": Perturbation(Translated(-7, 0), 16),
    "rotate": Perturbation(Warped(rotation, -15, 1, 0), 31),
    "tilt": Perturbation(Warped(tilt, -11.25, 0.75, 0, fading), 31),
    "scale": Perturbation(Warped(scaling, 0.7, 0.02, 0), 31),
}
"""For 32 pixels."""

PERTURBATIONS: Final = tuple(IMAGENET_P)
"""The ten that a mean flip rate is taken over."""
SEQUENCES: Final[Mapping[str, Mapping[str, Perturbation]]] = {"imagenet-p": IMAGENET_P, "cifar-p": CIFAR_P}
_BESIDE: Final = {"imagenet-c": "imagenet-p", "cifar-c": "cifar-p"}


def suited(table: str, height: int, width: int) -> str:
    """The table that a setting names for images of a size; ``auto`` chooses as it does for corruptions."""
    return table if table != "auto" else _BESIDE[tables.suited("auto", height, width)]
