"""How a figure is written: SVG for two themes and two widths, and the data in it."""
