"""What the chapters on laws state, computed."""
