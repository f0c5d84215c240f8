"""Versions in memory: which are there, how they get there, and how much memory they take."""
