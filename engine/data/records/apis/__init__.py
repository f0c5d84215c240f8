"""What passed through the API of a model: requests with their responses, and batches of them."""
