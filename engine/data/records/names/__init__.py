"""Names in records: those that the settings give, keys in capitals, and columns that name conversations."""
