"""From bytes to batches: readers of files, records, samples, segments, snapshots, shards, packing."""
