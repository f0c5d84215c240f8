"""What runs next, and what ends: queue, rows of the cache, memory, deadlines. Nothing here needs torch."""
