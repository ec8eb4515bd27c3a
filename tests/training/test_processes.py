import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from melanoma.command_line import TERMINATED
from melanoma.training.processes import WHOLE_MACHINE, Job, JobQueue, Share, run_processes

SOURCE = Path(__file__).resolve().parents[2] / "src"


def job(name: str, statement: str) -> Job:
    return Job(name, "timeit", ["-n1", "-r1", statement])  # which runs any statement once


def test_a_share_is_what_its_process_has(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    share = Share({"OMP_NUM_THREADS": "7"}, frozenset({core}))
    seen = "(os.environ['OMP_NUM_THREADS'], os.sched_getaffinity(0))"
    statement = f"import os; open({str(tmp_path / 'seen')!r}, 'w').write(str({seen}))"
    before = os.sched_getaffinity(0)
    assert run_processes([job("a", statement)], [share]) == {"a": 0}
    assert (tmp_path / "seen").read_text() == str(("7", {core}))
    assert os.sched_getaffinity(0) == before


def test_a_job_is_taken_when_a_share_is_free(tmp_path: Path) -> None:
    started: list[int] = []

    def jobs() -> Iterator[Job]:
        for number in range(3):
            ended = len(list(tmp_path.iterdir()))
            assert number - ended < 2
            started.append(number)
            yield job(str(number), f"open({str(tmp_path / str(number))!r}, 'w')")

    assert run_processes(jobs(), [WHOLE_MACHINE] * 2) == {"0": 0, "1": 0, "2": 0}


def test_after_a_failure_what_runs_ends_and_nothing_is_started(tmp_path: Path) -> None:
    number = tmp_path / "number of a"
    fails = f"import os; open({str(number)!r}, 'w').write(f'{{os.getpid()}}\\n'); os._exit(3)"
    # Until the end of a has been noticed.
    wait_and_write = (
        f"import os, pathlib, time; number = pathlib.Path({str(number)!r})\n"
        "while not (number.exists() and number.read_text().endswith('\\n')): time.sleep(0.02)\n"
        "while os.path.exists(f'/proc/{number.read_text().strip()}'): time.sleep(0.02)\n"
        f"open({str(tmp_path / 'b')!r}, 'w')"
    )
    jobs = [job("a", fails), job("b", wait_and_write), job("c", "pass")]
    assert run_processes(jobs, [WHOLE_MACHINE] * 2) == {"a": 3, "b": 0}
    assert (tmp_path / "b").exists()


def test_after_a_failure_other_runs_of_a_queue_go_on(tmp_path: Path) -> None:
    fails = [job("a 0", "import os; os._exit(3)"), job("a 1", "pass")]
    queue = JobQueue([fails, [job("b 0", "pass")], [], [job("c 0", "pass")]])
    assert run_processes(queue, [WHOLE_MACHINE]) == {"a 0": 3, "b 0": 0, "c 0": 0}
    assert queue.take() is None


def test_jobs_of_a_failed_run_are_never_made() -> None:
    made: list[str] = []

    def jobs(run: str) -> Iterator[Job]:
        for number in range(2):
            made.append(f"{run} {number}")
            yield job(made[-1], "pass")

    queue = JobQueue([jobs("a"), jobs("b")])
    first = queue.take()
    assert first is not None
    queue.ended(first, 1)
    assert [left.name for left in queue] == ["b 0", "b 1"]
    assert made == ["a 0", "b 0", "b 1"]


def test_lines_of_several_runs_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    text = "import sys; print('good'); print('bad', file=sys.stderr)"
    named = replace(job("a", text), prefix="[a]")
    assert run_processes([named], [WHOLE_MACHINE]) == {"a": 0}
    printed = capsys.readouterr()
    assert "[a] good\n" in printed.out
    assert printed.err == "[a] bad\n"


def test_nothing_is_left_running_by_an_error(tmp_path: Path) -> None:
    def jobs() -> Iterator[Job]:
        yield job("a", sleep_and_tell(tmp_path / "pid"))
        pid(tmp_path / "pid")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_processes(jobs(), [WHOLE_MACHINE] * 2)
    assert ends(pid(tmp_path / "pid"))


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGTERM, TERMINATED), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_no_process_outlives_its_launcher(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    script = f"""
        import sys
        from melanoma.command_line import script
        from melanoma.training.processes import WHOLE_MACHINE, Job, run_processes
        @script
        def main(arguments):
            arguments = ["-n1", "-r1", {sleep_and_tell(tmp_path / "pid")!r}]
            run_processes([Job("a", "timeit", arguments)], [WHOLE_MACHINE])
        sys.exit(main())
    """.replace("\n        ", "\n")
    environment = {"PYTHONPATH": str(SOURCE), "HOME": os.environ["HOME"]}
    launcher = subprocess.Popen([sys.executable, "-c", script], env=environment)
    child = pid(tmp_path / "pid")
    launcher.send_signal(sent)
    assert launcher.wait() == code
    assert ends(child)


def sleep_and_tell(path: Path) -> str:
    return (
        "import os, time; from melanoma.training.processes import end_with_launcher; "
        f"end_with_launcher(); open({str(path)!r}, 'w').write(str(os.getpid()) + chr(10)); "
        "time.sleep(60)"
    )


def pid(path: Path) -> int:
    """What a process wrote when it was ready."""
    while not (path.is_file() and path.read_text().endswith("\n")):
        time.sleep(0.02)
    return int(path.read_text())


def ends(number: int) -> bool:
    while True:
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # ended, and not yet noticed by who adopted it
            return True
        time.sleep(0.02)
