"""Networks with other shapes than their architecture's: narrower layers, fewer blocks and heads, factored layers, merged tokens."""
