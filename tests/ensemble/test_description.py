import json
from pathlib import Path

import numpy as np

from melanoma.ensemble.blending import blend_runs
from melanoma.ensemble.description import as_plain, describe
from melanoma.ensemble.options import Options
from melanoma.ensemble.review import review_runs
from melanoma.files import sha256_of
from simulated_runs import simulate_runs

ASKED = Options((Path("runs/a"), Path("runs/b")), (), (), "weighted", (), False)


def test_a_blend_is_described_in_json(tmp_path: Path) -> None:
    runs = simulate_runs([0.5, 1.0])
    read = tmp_path / "oof.csv"
    read.write_text("x")
    blended = blend_runs(runs, "weighted", n_draws=20)
    content = describe(ASKED, blended, review_runs(runs), runs.names, [0, 1, 2, 3, 4], [read])
    again = json.loads(json.dumps(content, allow_nan=False))
    assert again == content
    assert content["options"]["run_dir"] == ["runs/a", "runs/b"]
    assert content["chosen"]["name"] == "weighted"
    assert content["weights"] == dict(zip(runs.names, blended.blend.weights.tolist()))
    assert content["inputs"] == {str(read): sha256_of(read)}
    assert [row["name"] for row in content["rows"]] == ["run_0", "run_1", "mean", "weighted"]
    for row in content["rows"]:
        assert len(row["fold_aucs"]) == 5
        assert row["low"] < row["pooled_auc"] < row["high"]
    assert [row["nested"] for row in content["rows"]] == [False, False, False, True]
    assert content["versions"]["numpy"] == np.__version__


def test_what_is_no_number_is_null() -> None:
    plain = as_plain({"a": [np.float64("nan"), float("inf"), np.int64(3)], "b": (None, "x", True)})
    assert plain == {"a": [None, None, 3], "b": [None, "x", True]}
