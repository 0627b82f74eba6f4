"""Tables in, page out: figures, tables for people, things to touch, glue. Nothing below imports it."""
