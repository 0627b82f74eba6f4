"""Checkpoints before any rounding: weights, activations, curvature. Floor 3."""
