"""Evaluations as the supervisor has them made: of cycles, on demand, and to audit what serves."""
