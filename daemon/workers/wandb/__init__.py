"""The process beside the trainer that passes the figures of a run on to Weights & Biases."""
