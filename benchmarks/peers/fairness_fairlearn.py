"""Accuracy by class with its worst, difference and ratio by fairlearn, 1,000 bootstrap resamples."""

import numpy as np
from fairlearn.metrics import MetricFrame
from setting import data, logits, model, tell
from sklearn.metrics import accuracy_score

images, labels = data("test")
predicted = logits(model(), images).argmax(1).numpy()
truth = labels.numpy()
frame = MetricFrame(
    metrics=accuracy_score,
    y_true=truth,
    y_pred=predicted,
    sensitive_features=truth,
    n_boot=1000,
    ci_quantiles=[0.025, 0.975],
    random_state=np.random.RandomState(0),
)
tell(worst_class_accuracy=frame.group_min(), accuracy_difference=frame.difference(), accuracy_ratio=frame.ratio())
