"""Ways to approximate a network, each with the bytes that it really takes."""
