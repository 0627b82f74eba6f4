"""Laws on rows: fits with intervals, hold-outs, `results/fits.json`. Floor 4."""
