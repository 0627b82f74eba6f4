"""Mixed precision: what chapters 13 to 16 ask. Floor 7."""
