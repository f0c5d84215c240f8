"""Decoding by the kernel of `engine.native`: models as lists of operations, with packed weights."""
