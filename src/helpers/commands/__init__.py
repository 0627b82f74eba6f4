"""The `qid` command, one file a group of commands. No measuring and no fitting here."""
