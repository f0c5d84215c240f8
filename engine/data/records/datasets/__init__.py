"""Data sets with shapes of their own: a module for each. Sources are named there."""
