"""The intake: watches folders, reads files, de-duplicates, keeps the ledger of samples, makes the snapshots of cycles.

From a file to a lesson: `worker` waits; `inbox` says which files changed and are complete (`folders`, `watcher`,
`pending`); `batches` reads them, several in a transaction, with `caution` about files that ended the intake before;
`file_reader` has what is new in one parsed (`daemon.workers.intake.parsing`) and puts it into the ledger
(`daemon.workers.intake.ledger`). For a cycle, `snapshots` writes what the ledger assigns to it, and `named_files` what
somebody named instead.
"""
