"""`make book PROFILE=pythia`, and a DataDecide, against a stand-in of the Hub: audit, plan, sweep, then every chapter.

Planted: two revisions with equal weights, a gated repository, a missing revision. What a page can't show on a profile
it says in a line; that none fails is the point. Some 20 minutes on a core: `pytest -m slow tests/hub/test_profiles.py`.
"""

import json
from collections.abc import Iterator

import pytest
from tests.hub.profiles import Profile
from tests.hub.stand_in import ROOT

from helpers.table.files import read_table

FIRST = ("02-rounding", "04-degradation")  # they measure, into the table that others read
OWN = ("04-degradation", "96-this-machine")  # pages that show something of the profile
CHAPTERS = (*FIRST, *sorted({path.stem for path in (ROOT / "chapters").glob("[0-9]*.py")} - {*FIRST}))
EQUAL, PARTLY, WHOLE, GATED = (f"pythia-{size}-deduped" for size in ("160m", "410m", "1b", "12b"))
STEPS = [512, 1000, 64_000, 143_000]
SMALLER = {r"\{sequences: 512": "{sequences: 64, seq_len: 16", r"\{sequences: 128": "{sequences: 4, seq_len: 32"}
N_SCHEMES, N_TEXTS = 7, 2  # the 16-bit model, two methods at three widths

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pythia(tmp_path_factory) -> Iterator[Profile]:
    changes = SMALLER | {
        r" {6}- pythia-(1\.4b|2\.8b|6\.9b)-deduped\n": "",
        r"steps: \[512, 1000, [^]]*\]": f"steps: {STEPS}",
    }
    models = [EQUAL, PARTLY, WHOLE, GATED]
    profile = Profile("pythia", "pythia-deduped", models, STEPS, changes, tmp_path_factory.mktemp("pythia"))
    files = profile.publish()
    of = {(spec.model, spec.step): spec for spec in files}
    profile.hub.repository(of[EQUAL, 1000].location).commit(files[of[EQUAL, 512]], of[EQUAL, 1000].revision)
    profile.hub.repository(of[GATED, 512].location).access = "sealed"
    del profile.hub.repository(of[PARTLY, 64_000].location).branches[of[PARTLY, 64_000].revision]
    with profile.hub.serving() as profile.address:
        yield profile


@pytest.fixture(scope="module")
def datadecide(tmp_path_factory) -> Iterator[Profile]:
    changes = SMALLER | {
        r"    models:\n.*?(?=    # )": "    models: [DataDecide-c4-4M, DataDecide-c4-300M]\n",
        r"steps: \[1250, .*?69369\]": "steps: [1250, 5000]",
        r"  - family: datadecide\n    models: \[DataDecide-\*.*": "",
    }
    models = ["DataDecide-c4-4M", "DataDecide-c4-300M"]
    folder = tmp_path_factory.mktemp("datadecide")
    profile = Profile("datadecide", "datadecide", models, [1250, 5000], changes, folder)
    profile.publish()
    with profile.hub.serving() as profile.address:
        yield profile


def test_the_audit_finds_what_was_planted(pythia):
    done = pythia.qid("audit", "pythia-deduped", "--report", pythia.folder / "audit")
    assert done.returncode == 1
    found = done.stderr.splitlines()
    for model, said in ((EQUAL, "step512, step1000 have the same weights"), (PARTLY, "step64000"), (GATED, "gated")):
        assert any(model in line and said in line for line in found), (model, found)


def test_the_plan_names_what_is_gated_and_missing_and_the_sweep_measures_the_rest(pythia):
    plan = json.loads(pythia.qid("plan", pythia.sweep, "--device", "cpu", "--json").stdout)
    failures = plan["failures"]
    assert len(failures) == 5
    done = pythia.swept()
    assert done.returncode == 1
    assert {line.removeprefix("not measured: ") for line in done.stderr.splitlines() if "not measured" in line} == {
        *failures
    }
    rows = read_table(pythia.table).to_pandas()
    assert len(rows) == N_TEXTS * N_SCHEMES * (3 + 3 + 4)  # equal weights are one checkpoint
    assert "0 rows measured, 154 already there" in pythia.swept().stderr


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_says_what_it_has_of_the_profile(pythia, chapter):
    pythia.swept()
    page = pythia.page(chapter, small=chapter in OWN)
    if chapter not in OWN:
        assert (
            "Built with the profile `pythia`, of which this page has nothing: its numbers come with the book." in page
        )
        return
    assert "Built with the profile `pythia` on cpu, whose sweep it measured: 16 checkpoints of pythia-deduped." in page
    if chapter == "04-degradation":
        assert "**Not measured, and on no page of this book (5):** pythia\\-12b\\-deduped@512" in page
    else:
        assert "**This sweep has no branch with a decayed learning rate:**" in page
        assert "**There is no comparison for this sweep:**" in page


def test_a_datadecide_is_measured_from_its_own_layout_and_is_on_its_pages(datadecide):
    done = datadecide.swept()
    assert done.returncode == 0, done.stderr
    rows = read_table(datadecide.table).to_pandas()
    assert len(rows) == N_SCHEMES * (2 * 3 + 2)  # three seeds of the smaller size
    assert set(rows["status"]) == {"ok"}
    for chapter in FIRST:
        datadecide.page(chapter, small=chapter in OWN)
    page = datadecide.page("96-this-machine", small=True)
    assert "Built with the profile `datadecide` on cpu, whose sweep it measured: 8 checkpoints of datadecide." in page
    assert "**There is no comparison for this sweep:**" in page
