"""How jobs of each kind are done by the workers of this host, one module a kind."""
