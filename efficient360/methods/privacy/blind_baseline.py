"""Blind baseline (Das, Zhang & Tramèr 2024): how well members and non-members are separated by their pixels alone, without the model."""

import hashlib
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from efficient360.core.batch import Batch
from efficient360.core.measurement import Measurement
from efficient360.methods.privacy.metrics import BLIND
from efficient360.methods.privacy.roc import auc_interval, roc

SIDE: Final = 8
FINGERPRINT: Final = 0
"""Column of the fingerprint; the features follow."""
WIDTH: Final = 1 + 3 * SIDE * SIDE + 3 + 2
FINGERPRINT_BYTES: Final = 6
"""48 bits: exact in a float64, and two different images collide once in 10¹⁴ pairs."""
FOLDS: Final = 5
VARIANCE_CORRECTION: Final = (1 / FOLDS + 1 / (FOLDS - 1)) * FOLDS
"""How much more a cross-validated score varies than its test examples alone suggest: folds share training data (Nadeau & Bengio 2003)."""
RIDGE_C: Final = 0.1
"""Inverse of the ridge penalty: a strong one, as the features would overfit a small split."""


def image_features(batch: Batch) -> NDArray[np.float64]:
    """Fingerprint and features of a batch's images, float64 ``(B, 198)``.

    The features are 8×8 mean colours, the standard deviation of each channel, and the mean absolute difference of horizontal and vertical
    neighbours: what differs when one split was brightened, resized, sharpened or compressed differently.
    """
    images = batch.images.detach().cpu().float()
    small = torch.nn.functional.adaptive_avg_pool2d(images, SIDE).flatten(1)
    horizontal = (images[..., 1:] - images[..., :-1]).abs().mean((1, 2, 3))
    vertical = (images[..., 1:, :] - images[..., :-1, :]).abs().mean((1, 2, 3))
    features = torch.cat([small, images.flatten(2).std(2), horizontal[:, None], vertical[:, None]], dim=1).double().numpy()
    return np.concatenate([np.array([[_fingerprint(image)] for image in images.numpy()]), features], axis=1)


def _fingerprint(image: NDArray[Any]) -> float:
    pixels = np.rint(image * 255).astype(np.uint8).tobytes()
    return float(int.from_bytes(hashlib.blake2b(pixels, digest_size=FINGERPRINT_BYTES).digest(), "little"))


def blind_auc(members: NDArray[Any], nonmembers: NDArray[Any], seed: int) -> Measurement:
    """Cross-validated AUC of a logistic regression on the images' features.

    Args:
        members: Features ``(n, d)``, ``n`` at least 10.
        nonmembers: Features ``(n, d)``.
        seed: Of the five folds.

    Returns:
        The measurement, 0.5 where the splits look alike; its interval is that of as many examples as the shared training leaves independent.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.concatenate([members, nonmembers])
    is_member = np.arange(len(features)) < len(members)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=RIDGE_C, max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(classifier, features, is_member, cv=folds, method="decision_function")
    auc = roc(scores[is_member], scores[~is_member]).auc
    interval = auc_interval(auc, len(members) / VARIANCE_CORRECTION, len(nonmembers) / VARIANCE_CORRECTION)
    return Measurement(BLIND, auc, len(features), replace(interval, method="newcombe-corrected"))


def splits_differ(blind: Measurement) -> bool:
    """Whether the splits look different: the whole interval lies above guessing."""
    return blind.interval is not None and blind.interval.low > 0.5
