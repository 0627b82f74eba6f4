"""The torch side: from a checkpoint to rows. Imports nothing of `analyse`."""
