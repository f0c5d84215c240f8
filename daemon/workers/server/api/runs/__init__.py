"""The documented API of runs and tokenizers: jobs, their results, logs and chats."""
