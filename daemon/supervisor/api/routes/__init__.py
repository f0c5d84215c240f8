"""The operations of the control API, one file a subject."""
