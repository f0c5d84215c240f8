"""Answering tasks: what is asked of the engine for an input, and what its answer says."""
