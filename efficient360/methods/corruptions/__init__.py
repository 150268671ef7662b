"""The corruptions of ImageNet-C and the perturbation sequences of ImageNet-P, at any image size, seeded by example.

``noise``: Gaussian, shot, impulse, speckle. ``blur``: defocus, frosted glass, motion, zoom, Gaussian.
``weather``: snow, fog, brightness; ``frost``; ``spatter``.
``digital``: contrast, saturate, elastic transform, pixelate, JPEG. ``imagenet_c`` and ``imagenet_p`` hold the published severities.
"""
