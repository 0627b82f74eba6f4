"""What chapters to learn from state."""
