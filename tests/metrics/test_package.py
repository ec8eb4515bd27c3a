import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"


def test_importing_metrics_loads_no_library_that_is_slow_to_import() -> None:
    code = "import sys, melanoma.metrics; print({'pandas', 'scipy', 'sklearn'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SOURCE, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
