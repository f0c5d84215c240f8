"""Commands that use the model in service."""
