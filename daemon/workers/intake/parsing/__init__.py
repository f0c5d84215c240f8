"""Files to blocks of samples that the ledger can record: here, or in a process beside the intake (`process`)."""
