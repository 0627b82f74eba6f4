"""Put the newly built pages in the place of the last ones: a kill leaves the old book there, or the new one.

python book/place.py book/_build/new book/_build/html
"""

import sys
from pathlib import Path

from helpers.table.disk import put_in_place
from helpers.table.errors import ResultsError

if __name__ == "__main__":
    try:
        put_in_place(*map(Path, sys.argv[1:]))
    except ResultsError as error:
        sys.exit(str(error))
