"""The intake: watches folders, parses, de-duplicates, writes the conversation ledger, makes the snapshots of cycles.

From a file to a lesson: `watcher` and `folders` say which files changed, `pending` when they are complete, `reader`
reads what is new in them, `ledger` records each conversation once, `cycles` gives it to a cycle and settles what
became of it, `collect` writes the snapshot. What cannot be learned from goes to `quarantine`.
"""
