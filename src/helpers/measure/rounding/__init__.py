"""Weights to codes: grids, GPTQ's solver, the walk through the blocks. Floor 2."""
