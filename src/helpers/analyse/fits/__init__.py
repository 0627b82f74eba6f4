"""Laws on rows: fitted, with intervals by training run, hold-outs and draws; `results/fits.json`."""
