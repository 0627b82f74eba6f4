"""The statistics side (pandas, statsmodels): from rows to laws. Never torch, never a figure."""
