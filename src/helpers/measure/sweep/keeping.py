"""The keeping of what is measured: the records held against a second process, and compacted into the table."""

from collections.abc import Iterator
from contextlib import contextmanager

from helpers.measure.sweep.places import Places
from helpers.table import disk, files


@contextmanager
def kept(places: Places) -> Iterator[set[str]]:
    """Hold the records, yield the ids of what is measured, and compact into the table, whatever happens.

    Raises ResultsError when another process holds the records or the places can't be written.
    """
    table, records = places.measurements, places.records
    for place in (table, records / "any"):
        disk.refuse_unwritable(place)
    with disk.exclusive(records):
        disk.clear_unfinished(records, "*.json")
        in_table = set(files.read_table(table).column("measurement_id").to_pylist()) if table.exists() else set()
        try:
            yield in_table | files.done_ids(records)
        finally:
            # not only what was measured now: a kill may have left records that never reached the table
            if files.done_ids(records) - in_table or not table.exists():
                files.compact(records, table)
