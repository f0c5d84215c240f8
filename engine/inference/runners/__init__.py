"""What computes a version: forward passes by torch or by the kernel, and the choice of tokens."""
