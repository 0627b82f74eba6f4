"""QiD from rows, its errors and its noise, and which rows the study means. Floor 2."""
