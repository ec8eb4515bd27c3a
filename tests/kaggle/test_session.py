from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from melanoma.kaggle.attached import AttachedRun
from melanoma.kaggle.job import Job
from melanoma.kaggle.session import Session, parse_session

PATHS = st.text("abc/ é", min_size=1).map(Path)


@given(
    folders=st.tuples(PATHS, PATHS, PATHS, PATHS),
    runs=st.lists(st.builds(AttachedRun, st.text(), PATHS)).map(tuple),
    fold_files=st.lists(PATHS).map(tuple),
    deadline=st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_session_survives_its_text(
    folders: tuple[Path, Path, Path, Path],
    runs: tuple[AttachedRun, ...],
    fold_files: tuple[Path, ...],
    deadline: float,
) -> None:
    job = Job("predict", "x", overrides=("--a", "b"))
    session = Session(job, *folders, runs, fold_files, deadline)
    assert parse_session(session.as_json()) == session
