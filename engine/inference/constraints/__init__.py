"""Structured output: which tokens may come next, so that an answer fits a schema, a regex or a grammar."""
