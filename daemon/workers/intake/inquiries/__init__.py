"""What people ask about data, answered by processes of their own: the ledger is read, never written."""
