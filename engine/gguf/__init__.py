"""Models in the format of llama.cpp, Ollama and LM Studio: read from GGUF files, written to them."""
