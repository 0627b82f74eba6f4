"""Checkpoints of a family held against each other by what the Hub says of them, no weights downloaded."""
