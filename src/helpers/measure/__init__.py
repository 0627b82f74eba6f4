"""The measuring side (torch): from a checkpoint to a row. Imports nothing of `analyse`, `show` or `commands`."""
