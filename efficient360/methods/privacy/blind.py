"""Whether members and others can be told apart before any model has seen them."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from efficient360.core.measurement import Measurement
from efficient360.methods.privacy.metrics import PIXELS
from efficient360.methods.privacy.roc import auc_interval, roc

FOLDS = 5
CORRECTION = (1 / FOLDS + 1 / (FOLDS - 1)) * FOLDS
"""How much more a cross-validated score varies than its test examples alone would have it: folds share their training (Nadeau & Bengio 2003)."""
STRENGTH = 0.1
"""Inverse of the ridge penalty: enough features to overfit a small split meet a firm one."""


def pixel_auc(members: NDArray[Any], others: NDArray[Any], seed: int) -> Measurement:
    """AUC of a logistic regression on what the images look like, each judged by one that has not seen it (Das, Zhang & Tramèr 2024).

    Args:
        members: Features ``(n, d)``, ``n`` at least 10.
        others: Features ``(n, d)``.
        seed: Of the five folds.

    Returns:
        The measurement, 0.5 where the sides look alike; its interval is that of fewer examples, as many as the shared training leaves independent.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.concatenate([members, others])
    member = np.arange(len(features)) < len(members)
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(judge, features, member, cv=folds, method="decision_function")
    auc = roc(scores[member], scores[~member]).auc
    interval = auc_interval(auc, len(members) / CORRECTION, len(others) / CORRECTION)
    return Measurement(PIXELS, auc, len(features), replace(interval, method="newcombe-corrected"))


def differ(measured: Measurement) -> bool:
    """Whether the sides look different: the whole interval lies above guessing."""
    return measured.interval is not None and measured.interval.low > 0.5
