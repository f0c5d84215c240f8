"""What is computed: models, tokenizers, data, training, evaluation, inference. Knows nothing of processes."""
