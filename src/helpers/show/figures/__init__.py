"""Figures: each takes a table and returns axes; named after the question it draws."""
