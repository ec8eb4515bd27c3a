"""What a row and a photograph cost at 33 thousand, 400 thousand and 10 million: time, memory, bytes.

Each step at each size is a process of its own, so that its peak memory is its own; `MB` is what it
takes beyond Python and its packages, `bytes/row` the same per row. Tables are simulated in the
proportions of SIIM-ISIC 2020. The figures are for docs/scaling.md.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import call
from scaling_photographs import decode, fetch
from scaling_tables import STEPS, link_photographs, write_run, write_tables

from melanoma.command_line import script

SIZES = [33_126, 400_000, 10_000_000]
# What is loaded before a step is measured, so that its memory is not counted as that of the rows.
_TORCH = {"set up (address)", "set up (folder)"}


def measure(
    sizes: list[int] | None = None,
    steps: list[str] | None = None,
    linked_up_to: int = 400_000,
    n_photographs: int = 40,
    photographs: Path | None = None,
    folder: Path | None = None,
) -> None:
    """Print a table of steps on tables, and one of photographs.

    Args:
        sizes: Numbers of rows; by default 33,126, 400,000 and 10,000,000, the last of which needs
            about 6 GB on disk and up to 24 GB of memory.
        steps: Some of those in scaling_tables.py; all by default.
        linked_up_to: Up to so many rows, a link is made per photograph to set up a real folder.
        n_photographs: How many are decoded and fetched; 0 leaves that out.
        photographs: A folder of JPEGs to measure with; by default some are drawn.
        folder: Where temporary files go.
    """
    asked = steps or list(STEPS)
    print(f"{'step':20}{'rows':>12}{'s':>9}{'us/row':>9}{'MB':>9}{'bytes/row':>11}  held per row")
    for n_rows in sizes or SIZES:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            write_tables(Path(name), n_rows)
            for step in STEPS:
                if step in asked or step in ("create_folds", "list (address)"):
                    _measure_step(step, Path(name), n_rows, linked_up_to, shown=step in asked)
    if n_photographs:
        for work in (decode, fetch):
            with tempfile.TemporaryDirectory(dir=folder) as name:
                _print_rows(work(Path(name), n_photographs, photographs))


def _measure_step(step: str, folder: Path, n_rows: int, linked_up_to: int, shown: bool) -> None:
    if step == "set up (folder)":
        if n_rows > linked_up_to:
            print(f"{step:20}{n_rows:12,}  left out: --linked-up-to {linked_up_to}")
            return
        link_photographs(folder)
    if step == "build_submission":
        write_run(folder)
    command = [sys.executable, __file__, "--measure", step, str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
    if done.returncode:
        print(f"{step:20}{n_rows:12,}  failed with exit code {done.returncode}", flush=True)
        return
    found = json.loads(done.stdout.splitlines()[-1])
    if shown:
        seconds, megabytes, held = found["seconds"], found["mb"], found["held"]
        print(
            f"{step:20}{n_rows:12,}{seconds:9.2f}{1e6 * seconds / n_rows:9.1f}{megabytes:9.0f}"
            f"{1e6 * megabytes / n_rows:11.0f}  {held or ''}",
            flush=True,
        )


def _measure(step: str, folder: str) -> None:
    import melanoma.ensemble.submission
    import melanoma.folds.creation

    if step in _TORCH:
        import melanoma.images.datamodule  # noqa: F401
    before = _peak_mb()
    start = time.perf_counter()
    held: dict[str, Any] | None = STEPS[step](Path(folder))
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "mb": _peak_mb() - before, "held": held}))


def _peak_mb() -> float:
    # Not getrusage's: that begins with what the parent had when it started this process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 / 1e6


def _print_rows(rows: list[dict[str, Any]]) -> None:
    print()
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) + 2 for name in rows[0]}
    for row in [{name: name for name in rows[0]}, *rows]:
        print("".join(f"{row[name]:>{width}}" for name, width in widths.items()), flush=True)


@script
def main(arguments: list[str]) -> None:
    """Measure everything, or one step for that."""
    if arguments[:1] == ["--measure"]:
        return _measure(*arguments[1:])
    call(measure, __doc__, arguments)
    return None


if __name__ == "__main__":
    sys.exit(main())
