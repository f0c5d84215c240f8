"""Cycles and versions: from what came in to what serves."""
