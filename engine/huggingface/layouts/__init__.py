"""Layouts of public models in ``config.json`` of Hugging Face, one file for each kind of model."""
