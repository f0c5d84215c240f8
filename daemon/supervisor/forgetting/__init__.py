"""Forgetting on request: out of everything that thord keeps, however often it is interrupted."""
