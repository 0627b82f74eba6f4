import subprocess
import sys
from pathlib import Path

import helpers.analyse

MODULES = sorted(path.stem for path in Path(helpers.analyse.__file__).parent.glob("[!_]*.py"))


def test_the_statistics_side_imports_without_torch():
    names = ", ".join(f"helpers.analyse.{name}" for name in MODULES)
    code = f"import sys, {names}; sys.exit('torch' in sys.modules or 'helpers.measure' in sys.modules)"
    assert "fitting" in MODULES
    assert subprocess.run([sys.executable, "-c", code], timeout=50).returncode == 0
