"""Other programs that are told how runs go: events on a Redis server, and webhooks."""
