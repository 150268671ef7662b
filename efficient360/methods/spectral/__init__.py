"""Spectral analysis of a network: of its weights (singular values, power laws, Lipschitz constants), its features, its attention and the loss's Hessian."""
