"""What a report on a version says: where it is better or worse than another one, and how sure it is of itself."""
