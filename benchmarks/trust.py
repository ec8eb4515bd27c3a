"""Whether what is printed can be taken at its word: scores, methods that are chosen, alarms.

Runs are simulated with fixed seeds, at the sizes of the sample of make demo, of ISIC 2018 with lesions
as patients, and of thousands of images.
"""

import sys
from collections.abc import Callable
from typing import Literal

from common import call
from trust_alarms import print_alarms, print_power
from trust_choice import print_choices
from trust_epochs import print_flattery

from melanoma.command_line import script

Name = Literal["epochs", "choice", "alarms", "power"]
# Each takes a number of simulations, and of processes side by side.
TABLES: dict[Name, Callable[[int, int], None]] = {
    "epochs": lambda n, _: print_flattery(n, n_draws=300),
    "choice": lambda n, _: print_choices(max(2, n // 3), n_draws=100),
    "alarms": print_alarms,
    "power": print_power,
}


def measure(tables: list[Name] | None = None, n_reports: int = 300, n_processes: int = 2) -> None:
    """Print tables.

    They are epochs (how far a score is from the truth), choice (what --method best gains), alarms (how
    many the report raises when nothing differs) and power (when a fold or a site is weaker).

    Args:
        tables: Some of them; all by default.
        n_reports: Simulated runs or reports of each row; a third of them in choice.
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
