"""The server worker: the public HTTP API in front of the inference engine, and the swap of the weights behind it."""
