"""Coverage and size of prediction sets by THR, APS and RAPS, 20 splits, by torchcp."""

import torch
from setting import data, logits, model, tell
from torchcp.classification.predictor import SplitPredictor
from torchcp.classification.score import APS, LAC, RAPS

images, labels = data("test")
given = logits(model(), images)
found = {}
for name, score in (("thr", LAC()), ("aps", APS()), ("raps", RAPS(penalty=0.01, kreg=5))):
    covered, size = [], []
    for seed in range(20):
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        predictor = SplitPredictor(score, alpha=0.1, device="cpu")
        predictor.calculate_threshold(given[first], labels[first], alpha=0.1)
        sets = predictor.predict_with_logits(given[second])
        covered.append(sets.gather(1, labels[second][:, None]).float().mean())
        size.append(sets.sum(1).float().mean())
    found |= {f"{name}_coverage": torch.stack(covered).mean(), f"{name}_size": torch.stack(size).mean()}
tell(**found)
