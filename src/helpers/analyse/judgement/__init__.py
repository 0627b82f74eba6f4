"""Laws judged: errors of their scores, ties, points from outside, the default law, `results/fits.json`. Floor 6."""
