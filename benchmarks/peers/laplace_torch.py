"""Last-layer Laplace approximation by laplace-torch."""

import torch
from laplace import Laplace
from setting import data, model, tell
from torch.utils.data import DataLoader, TensorDataset

network = model()
images, labels = data("test")
approximation = Laplace(network, "classification", subset_of_weights="last_layer", hessian_structure="kron")
approximation.fit(DataLoader(TensorDataset(*data("train")), batch_size=128))
approximation.optimize_prior_precision(method="marglik")
p = torch.cat([approximation(part, link_approx="probit") for part in images.split(128)]).detach()
tell(nll=-p.gather(1, labels[:, None]).clamp_min(1e-12).log().mean())
