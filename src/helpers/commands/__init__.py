"""The `qid` command, one file per group of commands. No measuring and no fitting here."""
