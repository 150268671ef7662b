"""How strongly the logits answer to the smallest changes of one image: the spectral norm of the Jacobian there."""

from typing import Any

import torch
from torch import Tensor
from torch.func import jvp, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel

from efficient360.models.model import TorchModel


def jacobian_norms(model: TorchModel, images: Tensor, starts: Tensor, steps: int) -> Tensor:
    """Largest singular value of the Jacobian from pixels in [0, 1] to logits at each image, float64 ``(B,)``.

    With at most ``steps`` classes the whole Jacobian is written down, one backward pass a class; else Lanczos' method takes as many pairs of a backward and a
    forward derivative (Golub & Kahan 1965), which approaches from below. Attention runs in its plain form: the fused one has no forward derivative.

    Args:
        model: A network in torch.
        images: ``(B, 3, H, W)``.
        starts: Where the iteration begins, ``(B, K)``, none of them zero.
        steps: At least 1.

    Raises:
        RuntimeError: An operator of the network has no derivative (``NotImplementedError`` is one).
    """
    images = images.to(model.device)
    with sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
        if model.num_classes <= steps:
            return _whole(model, images)
        return _iterated(model, images, starts.to(images.device).double(), steps)


def _whole(model: TorchModel, images: Tensor) -> Tensor:
    images = images.detach().clone().requires_grad_(True)
    logits = model(images)
    rows = [torch.autograd.grad(logits[:, k].sum(), images, retain_graph=True)[0].flatten(1) for k in range(logits.shape[1])]
    jacobian = torch.stack(rows, dim=1).double()
    squares: Tensor = torch.linalg.eigvalsh(jacobian @ jacobian.mT)[:, -1]
    return squares.clamp_min(0).sqrt().detach().cpu()


def _iterated(model: TorchModel, images: Tensor, starts: Tensor, steps: int) -> Tensor:
    """Lanczos on J Jᵀ of every image at once, each held orthogonal to its own past."""
    pulled: Any = vjp(model, images)
    back = pulled[1]
    size = len(images)
    matrix = torch.zeros(size, steps, steps, dtype=torch.float64, device=images.device)
    basis = [starts / starts.norm(dim=1, keepdim=True)]
    for step in range(steps):
        (pixels,) = back(basis[-1].to(images.dtype))
        answer = jvp(model, (images,), (pixels,))[1].double()
        matrix[:, step, step] = (answer * basis[-1]).sum(1)
        if step == steps - 1:
            break
        past = torch.stack(basis, dim=1)
        for _ in range(2):  # once leaves rounding behind, twice is enough (Parlett 1980)
            answer = answer - (past.mT @ (past @ answer[:, :, None]))[:, :, 0]
        length = answer.norm(dim=1)
        # A space that is used up leaves a rest of mere rounding: from there on this image stands still.
        going = length > 1e-6 * matrix.diagonal(dim1=1, dim2=2).abs().amax(1)
        length = torch.where(going, length, torch.zeros_like(length))
        matrix[:, step, step + 1] = matrix[:, step + 1, step] = length
        basis.append(answer / torch.where(going, length, torch.full_like(length, torch.inf))[:, None])
    squares: Tensor = torch.linalg.eigvalsh(matrix)[:, -1]
    return squares.clamp_min(0).sqrt().detach().cpu()
