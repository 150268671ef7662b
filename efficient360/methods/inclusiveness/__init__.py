"""Images as poorer hardware takes, stores and sends them."""
