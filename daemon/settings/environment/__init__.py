"""Environment variables of other programs that thord understands: the table, what they set, and their page."""
