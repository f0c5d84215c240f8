"""Tokenizers behind one Protocol."""
