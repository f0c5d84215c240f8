"""The inference engine: iterations over a batch, weights that can be swapped."""
