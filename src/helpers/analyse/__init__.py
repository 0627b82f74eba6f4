"""The statistics side: from rows to laws and figures. Never imports torch."""
