"""What `bench_serve` compares: one set of weights, our engine, and each of its peers in a file of its own."""
