"""Commands on jobs: work beside cycles that somebody asked for."""
