"""The peers of the benchmarks of answering, each imported only where it is installed, and the files that they read."""
