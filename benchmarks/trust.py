"""Whether what is printed can be taken at its word: false alarms, and what is found.

Runs are simulated at three sizes, with fixed seeds: the sample of make demo, ISIC 2018 with lesions as
patients, and SIIM-ISIC 2020.
"""

import sys
from collections.abc import Callable
from typing import Literal

from common import call
from trust_alarms import print_alarms, print_power

from melanoma.command_line import script

Name = Literal["alarms", "power"]
TABLES: dict[Name, Callable[[int, int], None]] = {"alarms": print_alarms, "power": print_power}


def measure(tables: list[Name] | None = None, n_reports: int = 300, n_processes: int = 2) -> None:
    """Print tables: alarms (when nothing differs), power (when a fold or a site is weaker).

    Args:
        tables: Some of them; all by default.
        n_reports: Simulated reports of each row.
        n_processes: Side by side.
    """
    for name in tables or list(TABLES):
        print(f"\n{name}")
        TABLES[name](n_reports, n_processes)


@script
def main(arguments: list[str]) -> None:
    """Measure."""
    call(measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
