"""Runs over the public API: jobs asked of the supervisor, those that this server computes, and logs of runs."""
