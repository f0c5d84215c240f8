"""Measures of quality by name. A new one is a file here, and its import and its line in `registry`."""
