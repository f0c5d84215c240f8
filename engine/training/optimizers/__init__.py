"""Optimizers, and the groups of weights they treat differently."""
