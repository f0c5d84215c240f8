"""The supervisor: small, without torch, never doing work that can fail for data's sake."""
