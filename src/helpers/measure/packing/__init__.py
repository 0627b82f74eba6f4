"""Rounded models for other programs: packed GPTQ folders with model cards. Floor 5."""
