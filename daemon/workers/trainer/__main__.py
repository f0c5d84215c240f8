"""Starts the trainer."""

from daemon.workers.trainer.training import main

if __name__ == "__main__":
    main()
