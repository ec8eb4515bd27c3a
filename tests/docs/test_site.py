"""The site that `make docs` builds."""

import re
import subprocess
import sys
from pathlib import Path

from documented import ROOT

# What a browser would fetch from another host, as opposed to a link that a reader may follow.
LOADED = re.compile(
    r'(?:\bsrc|<link[^>]*\bhref)="(?:https?:)?//|url\(\s*["\']?(?:https?:)?//|@import'
)


def build(source: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["-d", str(site.with_name("doctrees")), str(source), str(site)]
    return subprocess.run(command, capture_output=True, text=True)


def test_it_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = build(ROOT / "docs", site)
    assert done.returncode == 0, done.stderr
    for page in [*site.rglob("*.html"), *site.rglob("*.css")]:
        assert not LOADED.search(page.read_text(encoding="utf-8")), page
    home = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="readme.html"' in home
    assert 'href="reference/train_folds.html"' in home


def test_a_link_to_a_heading_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    source.mkdir()
    settings = (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")
    source.joinpath("conf.py").write_text(
        settings.replace("Path(__file__).resolve()", f"Path({str(ROOT / 'docs/conf.py')!r})")
    )
    source.joinpath("index.md").write_text("# Home\n\n[there](#home) [nowhere](#nothing)\n")
    done = build(source, tmp_path / "site")
    assert done.returncode == 1
    assert "nothing" in done.stderr
    assert "'home'" not in done.stderr
