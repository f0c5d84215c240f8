"""The small model that thord knows by name, and how its file is fetched."""
