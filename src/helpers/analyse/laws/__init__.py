"""Formulas of QiD and of the 16-bit loss; no data. Floor 3."""
