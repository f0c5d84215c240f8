"""Processes of workers: started, connected, watched, started again."""
