"""Who runs: the supervisor, its workers, the state they keep."""
