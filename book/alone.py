"""Run a command while no other one of these builds or checks the same pages; a second is refused in one line.

python book/alone.py book/_build/html COMMAND ...
"""

import subprocess
import sys
from pathlib import Path

from helpers.table.disk import exclusive
from helpers.table.errors import ResultsError

if __name__ == "__main__":
    try:
        with exclusive(Path(sys.argv[1]), doing="building or checking"):
            code = subprocess.call(sys.argv[2:])
    except ResultsError as error:
        sys.exit(str(error))
    sys.exit(code)
