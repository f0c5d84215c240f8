"""From bytes to batches: formats, conversations, segments, snapshots, packing."""
