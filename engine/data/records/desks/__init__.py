"""Help desks and bots that companies run: a module for each, with the shape of its records. Sources are named there."""
