"""Forgetting samples: out of the ledger, then out of every file that the intake writes or reads in the home."""
