"""Tables in, page out: figures, tables for people, live charts, glue. Nothing below imports it."""
