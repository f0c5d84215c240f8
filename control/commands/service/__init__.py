"""Commands that run the service and watch it."""
