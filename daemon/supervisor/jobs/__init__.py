"""Jobs of any kind: queued, driven step by step, tried again, cancelled."""
