"""Accuracy and calibration by torchmetrics."""

from setting import data, logits, model, tell
from torch.nn.functional import cross_entropy, one_hot
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

images, labels = data("test")
found = logits(model(), images)
classes = found.shape[1]
p = found.softmax(1)
tell(
    top1=multiclass_accuracy(found, labels, classes, average="micro"),
    top5=multiclass_accuracy(found, labels, classes, average="micro", top_k=5),
    balanced_accuracy=multiclass_accuracy(found, labels, classes, average="macro"),
    nll=cross_entropy(found, labels),
    brier=((p - one_hot(labels, classes)) ** 2).sum(1).mean(),
    ece_equal_width=multiclass_calibration_error(p, labels, classes, n_bins=15),
)
