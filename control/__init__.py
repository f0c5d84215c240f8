"""thorctl and its client, and the rules for where files are. Nothing heavy is imported here."""
