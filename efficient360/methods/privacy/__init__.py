"""Privacy: membership inference attacks, and fine-tuning under differential privacy."""
