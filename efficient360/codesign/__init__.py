"""Co-design: the variant of a model to ship, found by compressing, compiling and measuring together."""
