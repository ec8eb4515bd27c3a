"""The process of one fold, started by `melanoma.training.launch` (and again by Lightning)."""

import os
import sys

from lightning.pytorch.utilities.exceptions import SIGTERMException

from melanoma.command_line import TERMINATED, script
from melanoma.run_folder import RunFolder
from melanoma.run_locks import hold_folds
from melanoma.training.config import parse_config
from melanoma.training.fold import train_fold
from melanoma.training.processes import LOCK_WAIT, STOPPED, end_with_launcher
from melanoma.training.stopping import TrainingStopped


@script
def main(arguments: list[str]) -> int:
    end_with_launcher()
    config = parse_config(arguments)
    try:
        fold = int(config.folds)
        wait_s = float(os.environ.get(LOCK_WAIT, 0))
        with hold_folds(RunFolder(config.run_dir), [fold], "trained", wait_s):
            result = train_fold(config, fold)
    except TrainingStopped:
        return STOPPED
    except SIGTERMException:
        return TERMINATED  # Lightning would leave 0, as of a fold that is finished
    if result:
        print(result.as_text(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
