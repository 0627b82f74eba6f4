"""The `qid` command, one file per group of commands. Nothing is measured or fitted here."""
