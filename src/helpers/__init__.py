"""The QiD Book's package: `measure` rounds checkpoints and scores them, `analyse` fits laws to the rows."""
