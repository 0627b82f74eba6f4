"""The loss of rounded models, side by side with the 16-bit one. Floor 3."""
