"""Metrics and the gate."""
