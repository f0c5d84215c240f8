"""Several conversations at once: rows that belong together, objects around conversations, and exports that mix them."""
