"""Who steers: thorctl, its client, the rules for where things are. Nothing heavy is imported here."""
