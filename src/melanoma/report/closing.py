"""What happens when the last fold of a run is finished: a table, and the report."""

import sys
import traceback
from pathlib import Path

from melanoma.errors import MelanomaError
from melanoma.files import write_text
from melanoma.run_folder import RunFolder


def close_run(run_dir: Path) -> Path | None:
    """Print a table of the folds and write the report, if all folds are finished.

    Nothing that goes wrong here may look as if the training had failed: it is said, and how to make
    the report later, and the run is what it was.

    Returns:
        The report; None where there is none.
    """
    if not RunFolder(run_dir).finished_folds():
        return None  # a trial run, which leaves nothing
    try:
        return _close(run_dir)
    except MelanomaError as error:
        reason = str(error)
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed here."
    except Exception:  # a bug in a picture must not cost the exit code of a day of training
        traceback.print_exc()
        reason = "the reason is above."
    print(
        f"no report: {reason} The run is finished all the same; make it with scripts/report.py "
        f"--run-dir {run_dir}.",
        file=sys.stderr,
        flush=True,
    )
    return None


def _close(run_dir: Path) -> Path | None:
    # Not before: on Kaggle, what the page is made with is not brought along.
    from melanoma.report.build import make_page
    from melanoma.report.page import render
    from melanoma.report.reading import default_output, read_material
    from melanoma.report.text import closing_table

    material = read_material([run_dir])
    if set(material.folds) < set(material.known_folds):
        return None
    print(f"\n{closing_table(material)}\n", flush=True)
    path = write_text(default_output([run_dir]), render(make_page(material, grad_cam=True)))
    print(f"report: {path}", flush=True)
    return path
