"""Parameter counts and shapes of linear layers, by kind of block."""
