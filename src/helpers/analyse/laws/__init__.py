"""Formulas: laws of QiD and of the 16-bit loss, what they predict and where they are solved. No data."""
