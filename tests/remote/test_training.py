"""A run whose data are behind an address is the run of the same data in a folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from melanoma.ensemble.submission import build_submission
from melanoma.errors import RemoteError
from melanoma.files import read_object, sha256_of
from melanoma.folds.creation import create_folds
from melanoma.prediction.folds import predict_folds
from melanoma.report.text import report_text
from melanoma.run_folder import FoldFolder, RunFolder
from melanoma.training.config import RunConfig
from melanoma.training.fold import train_fold
from melanoma.training.launch import train_folds
from melanoma.verification.runs import verify_run
from remote.places import Place
from tiny_run import tiny_config, tiny_options

pytestmark = pytest.mark.usefixtures("warm")

ROOT = Path(__file__).resolve().parents[2]
MADE = ["oof.csv", "metrics.csv"]


def options(data_dir: str, folds_csv: Path, name: str, *more: str) -> list[str]:
    given = [f"--data.data_dir={data_dir}", f"--run_dir={folds_csv.parents[1] / 'runs' / name}"]
    return tiny_options(Path("elsewhere"), folds_csv, *given, *more)


def config_of(data_dir: str, folds_csv: Path, name: str, *more: str) -> RunConfig:
    return tiny_config(Path("."), folds_csv, *options(data_dir, folds_csv, name, *more))


def train(data_dir: str, folds_csv: Path, name: str, *more: str) -> FoldFolder:
    config = config_of(data_dir, folds_csv, name, *more)
    train_fold(config, 0)
    return RunFolder(config.run_dir).fold(0)


def hashes(fold: FoldFolder) -> list[str]:
    return [sha256_of(fold.path / name) for name in MADE]


def test_the_whole_call_leaves_the_same_files_and_later_steps_read_them(
    competition: Path, folds_csv: Path, cache: Path
) -> None:
    runs = []
    for name, place in [("here", str(competition)), ("there", f"file://{competition}")]:
        config = config_of(place, folds_csv, name, "--trainer.max_epochs=1")
        train_folds(config)
        runs.append(RunFolder(config.run_dir))
    here, there = runs
    assert hashes(here.fold(0)) == hashes(there.fold(0))
    assert sha256_of(there.fold(0).test_csv) == sha256_of(here.fold(0).test_csv)
    assert read_object(there.record_json) == read_object(here.record_json)
    assert sha256_of(there.tables_json) == sha256_of(here.tables_json)
    before, after = here.read_config(), there.read_config()
    assert after["data"].pop("data_dir") == f"file://{competition}"
    assert before["data"].pop("data_dir") == str(competition)
    assert {**after, "run_dir": ""} == {**before, "run_dir": ""}
    for run in runs:
        build_submission([run.path], allow_missing_folds=True)
    assert sha256_of(there.submission_csv) == sha256_of(here.submission_csv)
    assert predict_folds(there.path, data_dir=Path(f"file://{competition}")) is None
    _look_without_the_place(competition, there.path)


def _look_without_the_place(competition: Path, run_dir: Path) -> None:
    competition.rename(competition.with_name("gone"))
    assert [finding.problem for finding in verify_run(run_dir).findings] == ["not trained"]
    assert report_text([run_dir])
    with pytest.raises(RemoteError, match="there is no such folder"):
        build_submission([run_dir], allow_missing_folds=True)


def test_folds_are_made_from_an_address(competition: Path, cache: Path, tmp_path: Path) -> None:
    create_folds(competition, output=tmp_path / "here.csv")
    create_folds(Path(f"file://{competition}"), output=tmp_path / "there.csv")
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert not list(cache.glob("*/photographs.csv"))  # for a table nobody lists photographs


def test_the_second_epoch_fetches_nothing(web: Place, folds_csv: Path, cache: Path) -> None:
    there = train(web.address, folds_csv, "there", "--trainer.max_epochs=3")
    assert web.photographs_asked == 40
    assert set(web.asked.values()) == {1}
    here = train(str(web.folder), folds_csv, "here", "--trainer.max_epochs=3")
    assert hashes(there) == hashes(here)


def test_a_cache_of_a_few_photographs_is_enough(web: Place, folds_csv: Path, cache: Path) -> None:
    sizes = sorted(path.stat().st_size for path in web.folder.glob("jpeg/train/*"))
    place_for = sum(sizes[-5:])
    there = train(web.address, folds_csv, "there", f"--data.data_cache_size={place_for}")
    assert hashes(there) == hashes(train(str(web.folder), folds_csv, "here"))
    kept = list(cache.glob("*/jpeg/train/*.jpg"))
    assert 5 <= len(kept) < 10
    assert sum(path.stat().st_size for path in kept) <= place_for
    # Two epochs, and a last validation: what is not kept is fetched each time.
    assert web.photographs_asked > 60
    counted = next(iter(cache.glob("*/kept_bytes"))).read_text()
    assert int(counted) == sum(path.stat().st_size for path in kept)


def test_workers_fetch_over_a_network(web: Place, folds_csv: Path, cache: Path) -> None:
    # A process of its own: forking one that has threads is warned of.
    given = options(web.address, folds_csv, "there", "--fold=0", "--data.num_workers=2")
    command = [sys.executable, "-m", "melanoma.training", *given]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    there = RunFolder(folds_csv.parents[1] / "runs" / "there").fold(0)
    assert hashes(there) == hashes(train(str(web.folder), folds_csv, "here"))
    assert {n for path, n in web.asked.items() if path.endswith(".jpg")} == {1}


def test_a_decoded_cache_is_filled_from_an_address(
    web: Place, folds_csv: Path, cache: Path, tmp_path: Path
) -> None:
    decoded = f"--data.cache={tmp_path / 'decoded'}"
    there = train(web.address, folds_csv, "there", decoded)
    assert hashes(there) == hashes(train(str(web.folder), folds_csv, "here"))
    asked = web.photographs_asked
    train(web.address, folds_csv, "again", decoded)
    assert web.photographs_asked == asked
