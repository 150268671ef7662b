"""Top eigenvalue and trace of the loss's Hessian on 64 images by pyhessian."""

import numpy as np
import torch
from pyhessian import hessian
from setting import data, model, tell
from torch.nn.attention import SDPBackend, sdpa_kernel

network = model()
images, labels = data("test")
with sdpa_kernel(SDPBackend.MATH):
    asked = hessian(network, torch.nn.CrossEntropyLoss(), data=(images[:64], labels[:64]), cuda=False)
    tell(top_eigenvalue=asked.eigenvalues(maxIter=50, tol=1e-3)[0][0], trace=np.mean(asked.trace(maxIter=50, tol=1e-2)))
