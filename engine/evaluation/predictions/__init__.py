"""Measures of what a model said, in text, labels or spans, against what it should have said: `thorctl metrics`."""
