"""Checkpoints on the Hub: revisions described without their weights, weights fetched, verified, converted, evicted."""
