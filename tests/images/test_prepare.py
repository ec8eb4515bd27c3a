import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from melanoma.errors import ConfigError, ImageError, MelanomaError, RunError, TableError
from melanoma.files import write_bytes
from melanoma.images.hashing import from_hex
from melanoma.images.prepare import Prepared, prepare_images
from melanoma.images.reading import check_images, find_images
from melanoma.locking import LOCKS, hold
from melanoma.tables import IMAGE_NAME

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "prepare_images.py"
TABLES = ("train.csv", "test.csv", "sample_submission.csv")


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    return tmp_path / "input" / "tiny-24"


def prepare(competition: Path, output_dir: Path, **options: int | str) -> Prepared:
    return prepare_images(competition, output_dir, size=24, num_workers=1, **options)  # type: ignore[arg-type]


def times(folder: Path) -> dict[str, int]:
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()
    }


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def damage(competition: Path) -> None:
    """One training photograph empty, one truncated; one test photograph no image."""
    (competition / "jpeg/train/TRAIN_003.jpg").write_bytes(b"")
    truncated = competition / "jpeg/train/TRAIN_005.jpg"
    truncated.write_bytes(truncated.read_bytes()[:700])
    (competition / "jpeg/test/TEST_001.jpg").write_text("no image")


def repair_test(competition: Path) -> None:
    shutil.copy(competition / "jpeg/test/TEST_000.jpg", competition / "jpeg/test/TEST_001.jpg")


def test_the_output_is_a_competition_folder_of_its_own(competition: Path, output_dir: Path) -> None:
    prepared = prepare(competition, output_dir)
    assert (prepared.n_new, prepared.n_kept, prepared.broken) == (50, 0, {})
    for table in TABLES:
        assert (output_dir / table).read_bytes() == (competition / table).read_bytes()
    for split, n in (("train", 40), ("test", 10)):
        names = pd.read_csv(output_dir / f"{split}.csv")[IMAGE_NAME].tolist()
        paths = find_images(output_dir, "train" if split == "train" else "test", names)
        assert len(paths) == n
        assert {size_of(path) for path in paths} == {(32, 24)}
        check_images(paths)


def test_a_mask_beside_a_photograph_is_not_copied(competition: Path, output_dir: Path) -> None:
    for path in (competition / "jpeg/train").glob("*.jpg"):
        Image.new("L", (32, 24), 255).save(path.with_suffix(".png"))
    prepare(competition, output_dir, prefer_suffix=".jpg")
    for path in (output_dir / "jpeg/train").iterdir():
        with Image.open(path) as copy:
            assert np.ptp(np.asarray(copy)) > 0, path.name


def test_the_list_has_a_row_per_photograph(competition: Path, output_dir: Path) -> None:
    listed = pd.read_csv(str(prepare(competition, output_dir).images_csv), dtype={"phash": str})
    columns = ["image_name", "split", "width", "height", "bytes", "phash"]
    assert listed.columns.tolist() == columns
    names = [pd.read_csv(competition / table)[IMAGE_NAME] for table in TABLES[:2]]
    assert listed[IMAGE_NAME].tolist() == pd.concat(names).tolist()
    assert listed["split"].tolist() == ["train"] * 40 + ["test"] * 10
    assert set(listed["width"]) == {48}
    assert set(listed["height"]) == {36}
    for row in listed.itertuples():
        path = output_dir / "jpeg" / str(row.split) / f"{row.image_name}.jpg"
        assert path.stat().st_size == row.bytes
    assert listed["phash"].map(from_hex).map(len).eq(256).all()


def test_what_is_finished_is_not_touched_again(competition: Path, output_dir: Path) -> None:
    prepare(competition, output_dir)
    before = times(output_dir)
    again = prepare(competition, output_dir)
    assert (again.n_new, again.n_kept) == (0, 50)
    assert times(output_dir) == before


def test_two_at_once_are_one_too_many(competition: Path, output_dir: Path) -> None:
    with (
        hold(output_dir / LOCKS / "prepare.lock", "copies are being made"),
        pytest.raises(RunError, match=r"copies are being made"),
    ):
        prepare_images(competition, output_dir, size=16, num_workers=1)
    assert not (output_dir / "prepare.json").exists()
    assert prepare_images(competition, output_dir, size=16, num_workers=1).images_csv


def test_only_what_is_missing_or_changed_is_made(competition: Path, output_dir: Path) -> None:
    prepare(competition, output_dir)
    before = times(output_dir)
    (output_dir / "jpeg/train/TRAIN_000.jpg").unlink()
    Image.new("RGB", (60, 30)).save(competition / "jpeg/test/TEST_002.jpg")
    assert prepare(competition, output_dir).n_new == 2
    after = times(output_dir)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"jpeg/train/TRAIN_000.jpg", "jpeg/test/TEST_002.jpg", "images.csv"}


def test_several_processes_make_the_same_bytes(competition: Path, tmp_path: Path) -> None:
    prepare(competition, tmp_path / "one")
    prepare_images(competition, tmp_path / "two", size=24, num_workers=2)
    for name in times(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_train_csv_alone_is_enough(competition: Path, output_dir: Path) -> None:
    (competition / "test.csv").unlink()
    (competition / "sample_submission.csv").unlink()
    assert prepare(competition, output_dir).n_new == 40
    assert not (output_dir / "test.csv").exists()


def test_every_kind_of_photograph_is_taken(competition: Path, output_dir: Path) -> None:
    folder = competition / "jpeg" / "train"
    with Image.open(folder / "TRAIN_000.jpg") as picture:
        picture.save(folder / "TRAIN_000.jpg", "PNG")
        picture.convert("CMYK").save(folder / "TRAIN_001.jpg")
        picture.convert("L").save(folder / "TRAIN_002.jpg")
        picture.save(folder / "TRAIN_003.jpg", progressive=True)
        grey = np.asarray(picture.convert("L")).astype(np.uint16) * 256
        for name, suffix in [("TRAIN_004", ".png"), ("TRAIN_005", ".PNG")]:
            (folder / f"{name}.jpg").unlink()
            Image.fromarray(grey).save(folder / f"{name}{suffix}")
    assert prepare(competition, output_dir).n_new == 50
    brightness = []
    for number in range(6):
        with Image.open(output_dir / f"jpeg/train/TRAIN_00{number}.jpg") as copy:
            assert (copy.format, copy.mode) == ("JPEG", "RGB")
            brightness.append(np.asarray(copy).mean())
    assert max(brightness) - min(brightness) < 8


def test_later_steps_open_no_prepared_photograph(
    competition: Path, output_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(competition, output_dir)
    names = pd.read_csv(output_dir / "train.csv")[IMAGE_NAME].tolist()
    monkeypatch.setattr("PIL.Image.open", None)
    check_images(find_images(output_dir, "train", names), output_dir)


def test_broken_photographs_are_listed_and_all_others_made(
    competition: Path, output_dir: Path
) -> None:
    damage(competition)
    prepared = prepare(competition, output_dir)
    assert "47 copies made" in prepared.as_text()
    text = str(prepared.problem)
    assert "3 photographs cannot be used" in text
    assert "1 empty: TRAIN_003; 1 truncated or damaged: TRAIN_005; 1 not an image: TEST_001" in text
    assert "Download or copy these files again and give the same command" in text
    assert "--skip-broken leaves broken training photographs out" in text
    assert prepared.images_csv is None
    assert not (output_dir / "images.csv").exists()
    assert not (output_dir / "train.csv").exists()
    assert len(list(output_dir.rglob("*.jpg"))) == 47


def test_a_broken_test_photograph_cannot_be_skipped(competition: Path, output_dir: Path) -> None:
    damage(competition)
    prepared = prepare(competition, output_dir, skip_broken=True)
    assert prepared.images_csv is None
    assert "The 1 of the test set cannot be skipped: a submission needs" in str(prepared.problem)


def test_broken_training_photographs_are_skipped_and_recorded(
    competition: Path, output_dir: Path
) -> None:
    damage(competition)
    repair_test(competition)
    prepared = prepare(competition, output_dir, skip_broken=True)
    assert prepared.problem is None
    assert "2 photographs cannot be used" in prepared.as_text()
    assert f"Left out of {output_dir}/train.csv." in prepared.as_text()
    assert (output_dir / "broken.csv").read_text().splitlines() == [
        "image_name,split,reason",
        "TRAIN_003,train,empty",
        "TRAIN_005,train,truncated or damaged",
    ]
    kept = [
        line
        for line in (competition / "train.csv").read_text().splitlines()
        if not line.startswith(("TRAIN_003", "TRAIN_005"))
    ]
    assert (output_dir / "train.csv").read_text().splitlines() == kept
    assert len(pd.read_csv(output_dir / "images.csv")) == 48


def test_repaired_photographs_are_made_and_no_longer_recorded(
    competition: Path, output_dir: Path
) -> None:
    damage(competition)
    prepare(competition, output_dir)
    repair_test(competition)
    for name in ("TRAIN_003", "TRAIN_005"):
        shutil.copy(
            competition / "jpeg/train/TRAIN_000.jpg", competition / f"jpeg/train/{name}.jpg"
        )
    prepared = prepare(competition, output_dir)
    assert (prepared.n_new, prepared.n_kept) == (3, 47)
    assert prepared.images_csv
    assert not (output_dir / "broken.csv").exists()


def test_missing_photographs_are_named_before_anything_is_made(
    competition: Path, output_dir: Path
) -> None:
    (competition / "jpeg/train/TRAIN_007.jpg").unlink()
    with pytest.raises(ImageError, match="1 of 40 train images are missing: TRAIN_007"):
        prepare(competition, output_dir)
    assert not output_dir.exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, output_dir: Path) -> None:
    with pytest.raises(TableError, match="nowhere: no such folder"):
        prepare(tmp_path / "nowhere", output_dir)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "--size 0: must be between 1 and 10000"),
        ({"size": 10_001}, "--size 10001: must be between 1 and 10000"),
        ({"quality": 0}, "--quality 0: must be between 1 and 100"),
        ({"quality": 101}, "--quality 101: must be between 1 and 100"),
        ({"num_workers": 0}, "--num_workers 0: must be at least 1"),
    ],
)
def test_an_option_out_of_range_is_named(
    competition: Path, output_dir: Path, options: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare_images(competition, output_dir, **options)  # type: ignore[arg-type]


def test_nothing_half_written_by_a_killed_run_is_left(competition: Path, output_dir: Path) -> None:
    prepare(competition, output_dir)
    for leftover in ("jpeg/train/.TRAIN_000.99999.jpg", ".images.99999.csv"):
        (output_dir / leftover).write_bytes(b"half")
    prepare(competition, output_dir)
    assert not list(output_dir.rglob(".*.99999.*"))


def test_a_disk_that_fills_up_is_one_message_and_the_same_command_goes_on(
    competition: Path, output_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_written = 0

    def fail_after_20(path: Path, content: bytes) -> Path:
        nonlocal n_written
        n_written += 1
        if n_written > 20:
            raise MelanomaError(f"{path} cannot be written: {os.strerror(errno.ENOSPC)}.")
        return write_bytes(path, content)

    monkeypatch.setattr("melanoma.images.copies.write_bytes", fail_after_20)
    message = r"TRAIN_020.jpg cannot be written: No space .* the same command goes on from there"
    with pytest.raises(MelanomaError, match=message):
        prepare(competition, output_dir)
    monkeypatch.undo()
    prepared = prepare(competition, output_dir)
    assert (prepared.n_new, prepared.n_kept) == (30, 20)


def test_too_little_space_is_known_before_the_first_copy(
    competition: Path, output_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=1000))
    with pytest.raises(
        MelanomaError, match=r"about .* kB are needed for 50 copies, and 1.0 kB are"
    ):
        prepare(competition, output_dir)
    assert not list(output_dir.rglob("*.jpg"))


def test_the_script_says_by_its_exit_code_whether_the_folder_is_complete(
    competition: Path, output_dir: Path
) -> None:
    damage(competition)
    command = [sys.executable, str(SCRIPT), f"--data-dir={competition}"]
    command += [f"--output-dir={output_dir}", "--num-workers=1"]
    broken = subprocess.run(command, capture_output=True, text=True)
    assert broken.returncode == 1
    assert "3 photographs cannot be used" in broken.stderr
    repair_test(competition)
    done = subprocess.run([*command, "--skip-broken"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(output_dir)


def test_an_interrupted_run_ends_with_one_line_and_goes_on_later(
    competition: Path, output_dir: Path
) -> None:
    names = _make_many(competition, n=1500)
    command = [sys.executable, str(SCRIPT), f"--data-dir={competition}"]
    command += [f"--output-dir={output_dir}", "--num-workers=2"]
    # A process group of its own: Ctrl-C in a terminal reaches the workers, too.
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while run.poll() is None and not list(output_dir.glob("jpeg/train/[!.]*.jpg")):
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGINT)
    _, message = run.communicate()
    assert (run.returncode, message) == (130, "interrupted\n")
    assert not list(output_dir.glob("jpeg/train/.*"))
    made = {name: at for name, at in times(output_dir).items() if name.startswith("jpeg")}
    assert 0 < len(made) < 1500
    assert not (output_dir / "images.csv").exists()
    names.sort(key=lambda name: f"jpeg/train/{name}.jpg" not in made)
    _write_train(competition, names[: len(made) + 5])
    prepared = prepare_images(competition, output_dir, num_workers=1)
    assert (prepared.n_kept, prepared.n_new) == (len(made), 5)
    assert times(output_dir).items() >= made.items()


def _make_many(competition: Path, n: int) -> list[str]:
    # As many names of one photograph that takes some ten milliseconds.
    for table in TABLES[1:]:
        (competition / table).unlink()
    folder = competition / "jpeg" / "train"
    noise = np.random.default_rng(0).integers(0, 256, (750, 1000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "0.jpg", quality=90)
    for number in range(1, n):
        os.link(folder / "0.jpg", folder / f"{number}.jpg")
    names = [str(number) for number in range(n)]
    _write_train(competition, names)
    return names


def _write_train(competition: Path, names: list[str]) -> None:
    rows = pd.DataFrame({IMAGE_NAME: names, "target": 0})
    rows.to_csv(competition / "train.csv", index=False)
