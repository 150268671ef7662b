"""What is copied to a device and runs there: Python's standard library, numpy and the runtime itself. Nothing here imports the rest of the package."""
