"""The problem for anything that ``torch.export`` takes: an encoder of text, a language model called token by token, a network of any other kind."""
