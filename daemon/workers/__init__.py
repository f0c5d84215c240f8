"""The workers: intake, trainer, evaluator, monitor and server, each a process of its own."""
