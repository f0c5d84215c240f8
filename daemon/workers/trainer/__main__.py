"""Starts the trainer."""

from daemon.workers.trainer.training import main

main()
