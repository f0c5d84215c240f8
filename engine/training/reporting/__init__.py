"""What a run says about itself: the reporter, its records in ``metrics.jsonl``, and inspections of the model."""
