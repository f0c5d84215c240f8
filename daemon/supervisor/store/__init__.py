"""``thord.db``: cycles, versions and events."""
