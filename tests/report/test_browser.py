"""Reports in a real browser: Chromium without a window, where there is one.

`make test-report` opens those of real runs as well, and leaves pictures of them in build/screenshots.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
import pytest

from finished_run import finished_run
from melanoma.folds.creation import create_folds
from melanoma.report.build import build_report
from melanoma.report.reading import read_material
from melanoma.report.thresholds import confusions
from noisy_run import add_noise, noisy_run
from tiny_run import tiny_config
from warm_python import WarmPython

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium: apt-get install chromium, then make test-report"
    ),
]

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
ROOT = Path(__file__).resolve().parents[2]
ISIC = ROOT.parent / "shared" / "data" / "isic2018"
DEMO = ROOT / "runs" / "demo"
WITH_REAL_RUNS = "MELANOMA_TEST_REPORT" in os.environ
SCREENSHOTS = ROOT / "build" / "screenshots"
WIDTHS = [1280, 390]
# One of them for a real run, but both for the smallest; make test-report-full opens all in both.
WIDTH_OF = {} if "MELANOMA_TEST_FULL" in os.environ else {"demo": 390, "isic2018": 1280}

# What makes a recipe of a quarter of an hour one of a minute.
SHORT = [
    *("--fold", "all", "--data.image_size", "48", "--trainer.max_epochs", "1"),
    *("--model.views", "1", "--photographs", "0"),
]

# Charts whose legend lies on what is drawn, or has to be scrolled.
CROWDED = """[...document.querySelectorAll(".chart")].filter((chart) => {
    const legend = chart.querySelector(".legend");
    const area = chart.querySelector(".nsewdrag");
    if (!legend || !area) return false;
    const below = legend.getBoundingClientRect().bottom - area.getBoundingClientRect().top;
    return below > 2 || legend.querySelector(".scrollbar").getBBox().height > 0;
}).map((chart) => chart.id)"""


@dataclass
class Opened:
    """A report in a browser.

    Attributes:
        page: Of playwright.
        run: What it is of.
        url: Of the file.
        complaints: Errors and warnings of the console so far.
        requests: Whatever was asked for.
    """

    page: "Page"
    run: Path
    url: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def text(self, element: str) -> str:
        return str(self.page.locator(f"#{element}").text_content())

    def number(self, element: str) -> int:
        return int(self.text(element).replace(",", ""))

    def scroll_through(self) -> None:
        """Everything comes into sight once, and is drawn."""
        for name in self.page.eval_on_selector_all(".chart", "all => all.map(one => one.id)"):
            self.page.locator(f"#{name}").scroll_into_view_if_needed()
            self.page.wait_for_selector(f"#{name} svg.main-svg")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    # It keeps crash reports in the home, whatever folder its profile is in.
    home = {**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))}
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS, env=home)
        yield opened
        opened.close()


# Each group is one worker's: what it opens is made once.
RUNS = {"tiny": "sample", "demo": "sample", "isic2018": "photographs"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=pytest.mark.xdist_group(group)) for n, group in RUNS.items()],
)
def run(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    _tiny: Path,
    warm_python: WarmPython,
) -> Path:
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "tiny":
        return _tiny_run(root, _tiny)
    if not WITH_REAL_RUNS:
        pytest.skip("reports of real runs are opened by make test-report")
    if request.param == "isic2018":
        return _trained_run(root, warm_python)
    if not (DEMO / "fold_4" / "done.json").is_file():
        pytest.skip("no finished run in runs/demo: make demo, then make test-report")
    return DEMO


def _tiny_run(root: Path, tiny: Path) -> Path:
    competition, folds_csv = root / "input", root / "folds" / "folds.csv"
    shutil.copytree(tiny, competition)
    create_folds(competition, n_folds=2, output=folds_csv)
    run = finished_run(tiny_config(competition, folds_csv))
    as_files = noisy_run(competition, folds_csv, "files", seed=0)
    for fold in (0, 1):
        for name in ("oof.csv", "test.csv", "metrics.csv"):
            shutil.copy(as_files / f"fold_{fold}" / name, run.fold(fold).path / name)
        add_noise(run.fold(fold).oof_csv, seed=fold)
    return run.path


def _trained_run(root: Path, python: WarmPython) -> Path:
    if not ISIC.is_dir():
        pytest.skip(f"no photographs in {ISIC}")
    folds_csv, run_dir = root / "folds" / "folds.csv", root / "runs" / "isic2018"
    create_folds(ISIC, n_folds=2, output=folds_csv)
    command = [python.path, ROOT / "scripts/train_folds.py", "--run-dir", run_dir]
    command += ["--config", ROOT / "configs/cpu_small.yaml", "--data.data_dir", ISIC]
    command += ["--data.folds_csv", folds_csv, *SHORT]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return run_dir


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made anew, and elsewhere: a run that somebody keeps is only read."""
    return build_report([run], output=tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(params=WIDTHS)
def opened(
    request: pytest.FixtureRequest, browser: "Browser", run: Path, report: Path
) -> Iterator[Opened]:
    if WIDTH_OF.get(run.name, request.param) != request.param:
        pytest.skip("make test-report-full opens it in this width, too")
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    page.set_default_timeout(0)  # whatever else the machine does
    shown = Opened(page, run, report.as_uri())
    page.on("console", lambda message: shown.complaints.append(message.text))
    page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    page.on("request", lambda asked: shown.requests.append(asked.url))
    page.goto(shown.url)
    yield shown
    page.close()


def test_nothing_complains_nothing_is_asked_for_and_nothing_sticks_out(opened: Opened) -> None:
    opened.scroll_through()
    assert opened.complaints == []
    asked = [url for url in opened.requests if not url.startswith("data:")]
    assert asked == [opened.url]
    widths = opened.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
    assert opened.page.evaluate(CROWDED) == []


@pytest.mark.skipif(not WITH_REAL_RUNS, reason="pictures are taken by make test-report")
@pytest.mark.parametrize("side", ["light", "dark"])
def test_it_can_be_looked_at(opened: Opened, side: Literal["light", "dark"]) -> None:
    opened.page.emulate_media(color_scheme=side)
    opened.scroll_through()
    width = opened.page.evaluate("window.innerWidth")
    path = SCREENSHOTS / f"{opened.run.name}-{width}-{side}.png"
    opened.page.screenshot(path=path, full_page=True)
    assert path.stat().st_size > 100_000


def test_the_slider_moves_the_confusion_matrix(opened: Opened) -> None:
    material = read_material([opened.run])
    targets, scores = material.predictions.targets, material.scores
    stops = confusions(targets, scores)
    slider = opened.page.locator("#threshold-slider")
    assert int(slider.input_value()) == stops.start
    before = opened.text("threshold-value")
    slider.focus()
    for key, place in [("Home", 0), ("ArrowRight", 1), ("End", len(stops.thresholds) - 1)]:
        slider.press(key)
        called = scores >= stops.thresholds[place]
        cells = {
            "true-positives": called & (targets == 1),
            "false-positives": called & (targets == 0),
            "false-negatives": ~called & (targets == 1),
            "true-negatives": ~called & (targets == 0),
        }
        for name, rows in cells.items():
            assert opened.number(name) == rows.sum(), (key, name)
        assert opened.text("threshold-value") == f"{stops.thresholds[place]:.4f}"
    assert opened.text("threshold-value") != before
    assert "sensitivity" in str(slider.get_attribute("aria-valuetext"))


def test_a_photograph_opens_large_and_closes_by_key(opened: Opened) -> None:
    opener = opened.page.locator(".open").first
    opener.focus()
    opener.press("Enter")
    dialog = opened.page.locator("#large")
    assert dialog.is_visible()
    small, large = (place.locator("img").first.bounding_box() for place in (opener, dialog))
    assert small is not None
    assert large is not None
    assert large["width"] > 1.4 * small["width"]
    assert str(dialog.locator("img").first.get_attribute("alt")).startswith("Photograph ")
    opened.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert opened.page.evaluate("document.activeElement.classList.contains('open')")


def test_the_overlay_can_be_switched_on(opened: Opened) -> None:
    overlays = opened.page.locator(".card .overlay")
    if not overlays.count():
        assert "Grad-CAM" in str(opened.page.locator("#photographs .notes").text_content())
        return
    assert not overlays.first.is_visible()
    opened.page.locator("#photographs .attention").check()
    assert overlays.first.is_visible()


def test_dark_colours_apply_to_the_page_and_its_charts(opened: Opened) -> None:
    opened.scroll_through()
    dark = "getComputedStyle(document.body).backgroundColor"
    drawn = "getComputedStyle(document.querySelector('#roc .xtick text')).fill"
    light = opened.page.evaluate(dark), opened.page.evaluate(drawn)
    opened.page.locator("#theme").click()
    by_button = opened.page.evaluate(dark), opened.page.evaluate(drawn)
    opened.page.locator("#theme").click()
    assert (opened.page.evaluate(dark), opened.page.evaluate(drawn)) == light
    opened.page.evaluate("delete document.documentElement.dataset.theme")
    opened.page.emulate_media(color_scheme="dark")
    by_system = opened.page.evaluate(dark), opened.page.evaluate(drawn)
    assert by_button == by_system == ("rgb(16, 20, 24)", "rgb(232, 237, 242)")
    assert light[0] == "rgb(245, 246, 248)"


def test_an_accessibility_checker_finds_no_serious_violation(opened: Opened) -> None:
    from axe_playwright_python.sync_playwright import Axe

    # Each width in one of the two, which saves half of the time.
    width = opened.page.viewport_size
    assert width is not None
    opened.page.emulate_media(color_scheme="light" if width["width"] == WIDTHS[0] else "dark")
    opened.scroll_through()
    for state in ("closed", "open"):
        if state == "open":
            opened.page.locator(".open").first.click()
        found = Axe().run(opened.page).response["violations"]
        serious = [
            (each["id"], [node["html"][:200] for node in each["nodes"][:3]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == []


def test_it_can_be_printed(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    opened.page.emulate_media(color_scheme="dark")
    opened.page.pdf(path=path)
    assert path.stat().st_size > 100_000
    ink = "getComputedStyle(document.querySelector('#roc .xtick text')).fill"
    opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert opened.page.evaluate(ink) == "rgb(23, 32, 42)"
    assert opened.page.evaluate(CROWDED) == []
    assert opened.page.locator("section > details:not([open])").count() == 0
    photographs = "[...document.querySelectorAll('.open .picture img')]"
    opened.page.wait_for_function(f"{photographs}.every((one) => one.complete)")
    opened.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert opened.page.evaluate(ink) == "rgb(232, 237, 242)"
    assert opened.page.locator("section > details[open]").count() == 0
    assert opened.complaints == []


def test_what_is_read_without_scripts_is_all_there(browser: "Browser", report: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(report.as_uri())
    assert page.locator("noscript").count() == 1
    assert page.locator("#folds tbody tr").count() >= 2
    page.close()


def test_the_axis_of_a_table_of_numbers_is_read_as_such(opened: Opened) -> None:
    headings = opened.page.locator("#folds table th[scope=col]").all_text_contents()
    assert headings[0] == "fold"
    train = pd.read_csv(opened.run / "fold_0" / "oof.csv")
    assert opened.page.locator("#folds tbody tr td").first.text_content() == f"{len(train):,}"
