"""What chapters 4 to 12 ask of rows and fits. Floor 5."""
