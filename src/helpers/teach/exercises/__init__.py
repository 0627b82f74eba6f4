"""The exercises of the chapters: what each asks for, computed from the tables, with its tolerance and hints."""
