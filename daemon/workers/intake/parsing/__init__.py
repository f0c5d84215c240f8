"""Files to blocks of samples that the ledger can record (`blocks`): in the intake, or beside it (`parser`)."""
