"""What chapters on how far numbers can be trusted state."""
