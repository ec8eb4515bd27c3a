"""Predict the test photographs with every fold of a run, in one pass: --run-dir runs/<name>."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from melanoma.prediction.__main__ import main, parser

__all__ = ["main", "parser"]

if __name__ == "__main__":
    sys.exit(main())
