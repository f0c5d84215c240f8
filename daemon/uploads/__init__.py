"""Copies of artifacts in other places, each verified by its sums; run as a process of its own, for its libraries."""
