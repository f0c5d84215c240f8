"""Ollama's API: ``/api/chat``, ``/api/generate``, ``/api/embed``, and what is said of models."""
