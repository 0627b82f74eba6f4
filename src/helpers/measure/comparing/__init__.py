"""Checkpoints that any program wrote, quantized or not, beside their 16-bit original. Floor 6."""
