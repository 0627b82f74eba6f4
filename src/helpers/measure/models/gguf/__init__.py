"""GGUF files: configuration, weights and tokenizer made of what their headers say."""
