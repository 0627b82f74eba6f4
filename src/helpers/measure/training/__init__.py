"""The tadpoles: their text, their plans, the updates, the checkpoints on disk. Floor 4."""
