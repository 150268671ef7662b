"""MACs, parameters and activations by fvcore."""

import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from setting import data, model, tell

network = model()
image = data("test")[0][:1]
with torch.no_grad():
    # fvcore does not see fused attention, so the unfused form is counted.
    for module in network.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    macs = FlopCountAnalysis(network, image).unsupported_ops_warnings(False).total()
    activations = ActivationCountAnalysis(network, image).unsupported_ops_warnings(False).total()
tell(macs=macs, activations=activations, parameters=sum(p.numel() for p in network.parameters()))
