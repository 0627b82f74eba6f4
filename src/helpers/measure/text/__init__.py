"""Pinned text, verified by hash and cut into blocks of tokens. Floor 1."""
