import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melanoma.errors import ConfigError
from melanoma.kaggle.bundle import (
    REFUSED_ABOVE,
    SCRIPTS,
    Script,
    source_files,
    write_script,
)
from melanoma.kaggle.job import Job, parse_job, project_root

JOB = Job(mode="train", run="baseline", config="configs/baseline.yaml", commit="abc")

# What a kernel runs in these tests, instead of the real one.
STUB = """
import json, os, signal, sys, time
from pathlib import Path
job = Path(sys.argv[1])
def leave(number, frame):
    print("asked to end", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, leave)
import melanoma
print("here", os.getcwd(), job, melanoma.__file__, json.loads(job.read_text())["run"], flush=True)
do = os.environ.get("STUB_DOES", "0")
if do == "waits":
    time.sleep(60)
if do == "is killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit(int(do))
"""
FILES = {
    "src/melanoma/__init__.py": b"",
    "src/melanoma/kaggle/__init__.py": b"",
    "src/melanoma/kaggle/kernel.py": STUB.encode(),
}


@pytest.fixture
def pushed(tmp_path: Path) -> Path:
    """The script as Kaggle has it, in a folder of its own."""
    path = tmp_path / "working" / "script.py"
    path.parent.mkdir()
    path.write_text(write_script(JOB, FILES).text)
    return path


def start(path: Path, does: str = "0", **options: Any) -> "subprocess.Popen[str]":
    scratch = path.parents[1] / "tmp"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), "STUB_DOES": does}
    environment.pop("PYTHONPATH", None)
    return subprocess.Popen(
        [sys.executable, path.name],
        cwd=path.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(path: Path, does: str = "0") -> tuple[int, str, str]:
    process = start(path, does)
    out, err = process.communicate()
    return process.returncode, out, err


def test_it_unpacks_elsewhere_and_runs(pushed: Path, tmp_path: Path) -> None:
    code, out, err = run(pushed)
    assert (code, err) == (0, "")
    bundle = tmp_path / "tmp" / "melanoma_bundle"
    here = f"here {pushed.parent} {bundle / 'job.json'} {bundle}/src/melanoma/__init__.py baseline"
    assert here in out
    assert "mode: train" in out
    # Nothing but the script is in what Kaggle keeps.
    assert os.listdir(pushed.parent) == ["script.py"]
    assert parse_job((bundle / "job.json").read_text()) == JOB
    unpacked = {str(p.relative_to(bundle)) for p in bundle.rglob("*") if p.suffix != ".pyc"}
    assert {*FILES, "job.json"} <= unpacked


def test_it_runs_again_where_it_has_run(pushed: Path, tmp_path: Path) -> None:
    run(pushed)
    left = tmp_path / "tmp" / "melanoma_bundle" / "left.txt"
    left.write_text("of an earlier version")
    assert run(pushed)[0] == 0
    assert not left.exists()


@pytest.mark.parametrize(("does", "code"), [("1", 1), ("2", 2), ("75", 75), ("is killed", 137)])
def test_its_exit_code_is_the_jobs(pushed: Path, does: str, code: int) -> None:
    ended, out, _ = run(pushed, does)
    assert ended == code
    assert ("the kernel was ended by SIGKILL" in out) == (code == 137)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_waited_for(pushed: Path, number: signal.Signals) -> None:
    process = start(pushed, "waits")
    assert process.stdout
    while not (line := process.stdout.readline()).startswith("here"):
        assert line, "ended before it began"
    process.send_signal(number)
    out, _ = process.communicate()
    assert process.returncode == 128 + number
    assert ("asked to end" in out) == (number == signal.SIGTERM)


def test_damage_is_noticed_before_anything_is_unpacked(pushed: Path, tmp_path: Path) -> None:
    text = pushed.read_text()
    at = text.index('PAYLOAD = """') + 200
    pushed.write_text(text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :])
    code, _, err = run(pushed)
    assert code == 1
    assert "the payload of this kernel is damaged. Push it again" in err
    assert not (tmp_path / "tmp" / "melanoma_bundle").exists()


def test_a_link_is_not_followed(pushed: Path, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "others").mkdir()
    (tmp_path / "tmp" / "melanoma_bundle").symlink_to(tmp_path / "others")
    code, _, err = run(pushed)
    assert code == 1
    assert "melanoma_bundle is a link" in err
    assert (tmp_path / "others").is_dir()


def test_the_template_alone_says_so() -> None:
    content = runpy.run_path(str(project_root() / "kaggle_kernel" / "template.py"))
    with pytest.raises((SystemExit, ValueError)):
        content["unpack"](Path("nowhere"))


def test_the_whole_project_fits_and_its_lines_are_short() -> None:
    script = write_script(JOB, source_files(project_root()))
    assert script.n_bytes < REFUSED_ABOVE / 2
    assert max(map(len, script.text.splitlines())) <= 110
    assert "src/melanoma/errors.py" in script.files
    assert {f"scripts/{name}.py" for name in SCRIPTS} < set(script.files)
    compile(script.text, "script.py", "exec")


def test_every_file_of_the_package_travels() -> None:
    root = project_root()
    files = (path for path in (root / "src" / "melanoma").rglob("*") if path.is_file())
    of_the_package = {
        path.relative_to(root).as_posix() for path in files if "__pycache__" not in path.parts
    }
    assert of_the_package <= source_files(root).keys()
    assert any(name.endswith(".html") for name in of_the_package)


def test_the_same_in_another_folder_at_another_time_is_the_same(tmp_path: Path) -> None:
    texts = []
    for name, moment in (("a", 1e9), ("b", 1.5e9)):
        root = tmp_path / name
        paths = [*FILES, *(f"scripts/{script}.py" for script in SCRIPTS)]
        for path in reversed(paths) if name == "b" else paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(FILES.get(path, b"pass\n"))
            os.utime(root / path, (moment, moment))
            (root / path).chmod(0o600 if name == "a" else 0o755)
        texts.append(write_script(JOB, source_files(root)).text)
    assert texts[0] == texts[1]


@settings(max_examples=15)
@given(
    contents=st.lists(st.binary(max_size=200), max_size=4),
    run=st.text(max_size=30),
    overrides=st.lists(st.text(max_size=20), max_size=3).map(tuple),
)
def test_whatever_is_packed_is_unpacked(
    tmp_path_factory: pytest.TempPathFactory,
    contents: list[bytes],
    run: str,
    overrides: tuple[str, ...],
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    files = {f"folder/{n}.bin": content for n, content in enumerate(contents)}
    job = Job(mode="train", run=run, overrides=overrides, commit='"""\nimport nothing')
    text = write_script(job, files).text
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    runpy.run_path(str(path))["unpack"](folder / "unpacked")
    for name, content in files.items():
        assert (folder / "unpacked" / name).read_bytes() == content
    assert parse_job((folder / "unpacked" / "job.json").read_text(encoding="utf-8")) == job


def test_what_is_too_large_is_refused_with_what_is_large() -> None:
    files = {
        **FILES,
        "folds/folds.csv": os.urandom(800_000),
        "configs/a.yaml": os.urandom(50_000),
        "src/melanoma/zeros.py": bytes(10_000_000),
    }
    message = (
        r"the kernel would have 1.1 MB; more than 950.0 kB are not sent.*"
        r"folds/folds.csv \(800.1 kB packed\), configs/a.yaml \(50.1 kB packed\)"
    )
    with pytest.raises(ConfigError, match=message):
        write_script(JOB, files)


def test_the_size_is_shown_against_the_limit() -> None:
    script = Script(250_000 * "a", {"a": 1})
    assert script.as_text() == "250.0 kB of the 1.0 MB that Kaggle takes (25%), 1 files packed"


@pytest.mark.parametrize("missing", ["src/melanoma/__init__.py", "scripts/train_folds.py"])
def test_a_project_with_a_part_missing_is_named(tmp_path: Path, missing: str) -> None:
    for path in {*FILES, *(f"scripts/{script}.py" for script in SCRIPTS)} - {missing}:
        if not (missing.startswith("src") and path.startswith("src")):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    with pytest.raises(ConfigError, match=r"missing. A kernel is built from a clone"):
        source_files(tmp_path)
