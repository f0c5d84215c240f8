"""What ``thorctl doctor`` examines, and what a model needs on this machine."""
