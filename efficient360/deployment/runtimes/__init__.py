"""How an artefact is converted (heavy, on the host) and run (the runtime and numpy, wherever it is to run)."""
