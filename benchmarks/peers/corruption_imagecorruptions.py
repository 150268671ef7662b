"""Accuracy under 15 corruptions at 5 severities on 100 images by imagecorruptions."""

import numpy as np
import torch
from imagecorruptions import corrupt, get_corruption_names
from setting import data, logits, model, tell

network = model()
images, labels = data("test")
images, labels = images[:100], labels[:100]
plain = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
np.random.seed(0)
right = []
for name in get_corruption_names("common"):
    for severity in range(1, 6):
        changed = np.stack([corrupt(image, corruption_name=name, severity=severity) for image in plain])
        given = torch.from_numpy(changed).permute(0, 3, 1, 2).float() / 255
        right.append((logits(network, given).argmax(1) == labels).float().mean())
tell(corruption_accuracy=torch.stack(right).mean())
