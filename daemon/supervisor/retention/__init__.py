"""What is removed once nothing needs it: a plan (pure), what is on disk, how it is removed, and when."""
