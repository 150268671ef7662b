"""Images as low-end cameras, storage and links deliver them, and the accuracy retained on them."""
