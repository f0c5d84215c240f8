"""What every form of the API asks of the engine: the next turn of a dialogue, and embeddings."""
