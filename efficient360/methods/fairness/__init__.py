"""How far apart groups of examples are in how they are answered, and how far chance alone would put them."""
