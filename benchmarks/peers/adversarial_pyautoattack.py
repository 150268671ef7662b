"""Robust accuracy under APGD-CE, APGD-T and Square in L∞ by pyautoattack, with the quick protocol's settings."""

import torch
from pyautoattack import AutoAttack
from setting import data, model, tell

network = model().requires_grad_(False)
images, labels = data("test")
images, labels = images[:64], labels[:64]
found = {}
for step in (0.5, 1, 2, 4):
    attacks = ["apgd-ce", "apgd-t", "square"] if step == 4 else ["apgd-ce"]
    attack = AutoAttack(network, norm="Linf", eps=step / 255, version="custom", attacks=attacks, device="cpu", seed=0)
    attack.verbose = False
    attack.apgd.n_iter = attack.apgd_targeted.n_iter = 20
    attack.apgd.n_restarts = 1
    attack.apgd_targeted.n_target_classes = 3
    attack.apgd_targeted.n_restarts = 1
    attack.square.n_queries = 200
    moved = attack.run_standard_evaluation(images, labels, batch_size=64)[0]
    with torch.no_grad():
        found[f"robust_accuracy_{step}"] = (network(moved).argmax(1) == labels).float().mean()
tell(**found)
