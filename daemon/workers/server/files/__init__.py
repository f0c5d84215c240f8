"""Files that clients upload, to have the model learn from them: where they lie, and whether they can be learned."""
