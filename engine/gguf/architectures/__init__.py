"""Architectures of llama.cpp that compute what thord's families do, and what GGUF files say of a model."""
