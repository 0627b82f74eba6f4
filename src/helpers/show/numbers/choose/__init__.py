"""What chapters on choosing a method state."""
