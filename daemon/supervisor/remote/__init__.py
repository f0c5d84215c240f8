"""Runs on other hosts: RQ carries which job is to be done, the store says who does it."""
