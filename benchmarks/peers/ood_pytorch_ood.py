"""Maximum softmax probability, energy, max logit, Mahalanobis and KNN against noise by pytorch-ood."""

import torch
from pytorch_ood.detector import KNN, EnergyBased, Mahalanobis, MaxLogit, MaxSoftmax
from pytorch_ood.metrics import OODMetrics
from setting import data, features, model, tell

network = model()
images, _ = data("test")
seen, seen_labels = data("train")
noise = torch.rand((1000, *images.shape[1:]), generator=torch.Generator().manual_seed(0))
labels = torch.cat([torch.zeros(len(images)), torch.full((len(noise),), -1)]).long()
found = {}
for name, detector in (("msp", MaxSoftmax(network)), ("energy", EnergyBased(network)), ("max_logit", MaxLogit(network))):
    metrics = OODMetrics()
    with torch.inference_mode():
        metrics.update(torch.cat([detector(part) for part in torch.cat([images, noise]).split(64)]), labels)
    found[f"{name}_auroc"] = metrics.compute()["AUROC"]
known = features(network, seen)
asked = torch.cat([features(network, images), features(network, noise)])
for name, detector in (("mahalanobis", Mahalanobis(None)), ("knn", KNN(None))):
    detector.fit_features(known, seen_labels)
    metrics = OODMetrics()
    metrics.update(torch.as_tensor(detector.predict_features(asked)), labels)
    found[f"{name}_auroc"] = metrics.compute()["AUROC"]
tell(**found)
