"""Coverage and size of prediction sets by THR, APS and RAPS, 20 splits, by MAPIE."""

import numpy as np
from mapie.classification import SplitConformalClassifier
from setting import data, logits, model, tell
from sklearn.base import BaseEstimator, ClassifierMixin

images, labels = data("test")
given = logits(model(), images).softmax(1).double()
p = (given / given.sum(1, keepdim=True)).numpy()
truth = labels.numpy()


class Known(ClassifierMixin, BaseEstimator):
    """A classifier whose answers are known: an example is its row."""

    def __init__(self) -> None:
        self.classes_ = np.arange(p.shape[1])
        self.fitted_ = True

    def fit(self, rows, labels):
        return self

    def predict_proba(self, rows):
        return p[rows[:, 0]]

    def predict(self, rows):
        return self.predict_proba(rows).argmax(1)


found = {}
for name, score in (("thr", "lac"), ("aps", "aps"), ("raps", "raps")):
    covered, size = [], []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(truth))[:, None]
        first, second = np.array_split(order, 2)
        conformal = SplitConformalClassifier(Known(), confidence_level=0.9, conformity_score=score, prefit=True, random_state=seed)
        conformal.conformalize(first, truth[first[:, 0]])
        sets = conformal.predict_set(second)[1][:, :, 0]
        covered.append(sets[np.arange(len(second)), truth[second[:, 0]]].mean())
        size.append(sets.sum(1).mean())
    found |= {f"{name}_coverage": np.mean(covered), f"{name}_size": np.mean(size)}
tell(**found)
