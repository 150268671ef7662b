"""How far a checkpoint can be compressed: variants tried, and what came of them."""
