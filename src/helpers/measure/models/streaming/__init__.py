"""Models larger than the device: weights and hidden states that wait in the host's memory for their turn."""
