"""Corpora that thord knows by name, and fetches when they are first asked for."""

NAMED = ("enwik8",)
"""A file of such a name is meant with a folder before it: ``./enwik8``."""
