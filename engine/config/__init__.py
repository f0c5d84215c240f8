"""Settings of models, tokenizers, training, evaluation and inference, a table a file. Torch is not imported here."""
