"""OpenAI's fine-tuning API, ``/v1/fine_tuning/jobs``: a face of thord's own jobs of kind ``train``."""
