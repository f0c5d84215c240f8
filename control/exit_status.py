"""What thorctl's exit status means; the same for every command."""

DONE = 0
FAILED = 1
USAGE = 2
"""A wrong command line, or settings thord cannot run with."""
NOT_RUNNING = 3
"""As ``systemctl status`` says it."""
NOT_PERMITTED = 4
NOT_FOUND = 5
INTERRUPTED = 130
"""Ctrl-C, as shells say it."""
PIPE_CLOSED = 141
"""The reader of the output went away, as shells say it."""
