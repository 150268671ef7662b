"""What the spectra of weights and of features say of a network."""
