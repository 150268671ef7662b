"""Integrated gradients, gradient × input, Grad-CAM and occlusion by captum on 16 images, each with its insertion and deletion curves and infidelity."""

import torch
from captum.attr import InputXGradient, IntegratedGradients, LayerGradCam, Occlusion
from captum.metrics import infidelity, infidelity_perturb_func_decorator, sensitivity_max
from setting import data, logits, model, tell

torch.manual_seed(0)
network = model()
images, labels = data("test")
images, labels = images[:16], labels[:16]
target = logits(network, images).argmax(1)
PATCH, POINTS = 4, 64
CELL = (3, PATCH, PATCH)


def gradcam(given, target):
    maps = LayerGradCam(network, network.network.blocks[-1].norm1).attribute(given, target=target)
    side = int((maps.shape[-1] - 1) ** 0.5) if maps.ndim == 3 else int(maps.shape[1] ** 0.5)
    flat = maps.reshape(len(given), -1)[:, -side * side :]
    return torch.nn.functional.interpolate(flat.view(-1, 1, side, side), given.shape[-2:]).expand_as(given)


explainers = {
    "integrated gradients": lambda given, target: IntegratedGradients(network).attribute(given, target=target, n_steps=20),
    "gradient x input": lambda given, target: InputXGradient(network).attribute(given.requires_grad_(), target=target),
    "grad-cam": gradcam,
    "occlusion": lambda given, target: Occlusion(network).attribute(given, CELL, strides=CELL, target=target, perturbations_per_eval=8),
}


def single(explain):
    """As captum calls it back, with the images in a tuple or alone; a tensor that comes back would be taken apart by rows."""
    return lambda given, target: (explain((given[0] if isinstance(given, tuple) else given).detach(), target).detach().contiguous(),)


@infidelity_perturb_func_decorator(False)
def covered(given):
    keep = (torch.rand(len(given), 1, given.shape[2] // PATCH, given.shape[3] // PATCH) > 0.2).float()
    keep = torch.nn.functional.interpolate(keep, given.shape[-2:])
    return given * keep


def area(attribution, insertion):
    """Probability of the predicted class while the cells come in (or go) in order of attribution."""
    cells = torch.nn.functional.avg_pool2d(attribution.sum(1, keepdim=True), PATCH).flatten(1)
    order = cells.argsort(1, descending=True).argsort(1)
    side = images.shape[-1] // PATCH
    steps = []
    for taken in torch.linspace(0, cells.shape[1], min(POINTS, cells.shape[1]) + 1):
        shown = (order < taken) if insertion else (order >= taken)
        mask = torch.nn.functional.interpolate(shown.float().view(-1, 1, side, side), images.shape[-2:])
        steps.append(logits(network, images * mask).softmax(1).gather(1, target[:, None])[:, 0])
    return torch.stack(steps).mean()


found = {}
for name, explain in explainers.items():
    attribution = explain(images.clone(), target).detach()
    found[f"{name} insertion"] = area(attribution, True)
    found[f"{name} deletion"] = area(attribution, False)
    found[f"{name} infidelity"] = infidelity(network, covered, images, attribution, target=target, n_perturb_samples=20, max_examples_per_batch=64).mean()
    found[f"{name} sensitivity"] = sensitivity_max(single(explain), images.clone(), perturb_radius=0.02, n_perturb_samples=4, target=target).mean()
tell(**found)
