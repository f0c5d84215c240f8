"""The control API: HTTP and JSON on ``control.sock``."""
