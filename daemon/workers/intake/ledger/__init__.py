"""``conversations.db`` and the segments: every sample, once, where it was read, and what became of it.

`ledger.Ledger` owns the database and its transactions; nothing else begins or ends one. Its tables are classes here,
and no other module of the intake writes SQL. Reading a file goes through them in this order, within one transaction:

1. `sources`: is the file known, has it grown, where does reading go on;
2. `samples`, by the rules of `dedup`: what is new is appended to a segment and recorded;
3. `quarantine`: what was refused, and why;
4. `sources` again: how far the file was read. Then the segments are written to disk, and the transaction is committed.

`assignments` (with `replay` and `held_out`) gives samples to cycles; `suspects` counts the files that end the intake.
"""
