"""The corruptions of ImageNet-C and CIFAR-10-C, at any image size, seeded by example."""
