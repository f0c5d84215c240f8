"""What becomes a version without a run: a checkpoint of one, or an adapter folded into its base."""
