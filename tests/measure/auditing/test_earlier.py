"""An earlier audit: read strictly, and compared by the weights alone."""

import json

import pytest

from helpers.measure.auditing import earlier, page
from helpers.measure.auditing.audit import Audit
from helpers.measure.models.hub.revisions import HubFile, Revision
from helpers.table.errors import ResultsError
from helpers.table.records import summed


def revision(name: str, sha256: str, commit: str = "c") -> Revision:
    files = (HubFile("model.safetensors", 9, "1" * 40, sha256 * 64), HubFile("README.md", 9, commit * 40))
    return Revision("a/b", name, commit * 40, files)


def audited(*revisions: Revision) -> Audit:
    return Audit("family", "2026-11-30T12:00:00+00:00", 1, 2, 0, revisions, ())


def test_weights_that_are_others_under_the_same_name_are_found_and_another_page_is_not(tmp_path):
    path = page.write(audited(revision("step1", "1"), revision("step2", "2"), revision("step3", "3")), tmp_path)[1]
    before = earlier.read(path)
    now = [revision("step1", "1", "d"), revision("step2", "9", "e"), revision("step4", "4")]
    (found,) = earlier.replaced(before, now)
    assert (found.kind, found.repository, found.revisions) == ("replaced", "a/b", ("step2",))
    assert found.said == "step2: other weights than on 2026-11-30"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"made_at": 3}, "'made_at' is 3"),
        ({"revisions": {}}, "'revisions' {}"),
        ({"revisions": [1]}, "1 where a mapping is expected"),
        ({"revisions": [{"repository": "a/b", "revision": "x", "weights": 3}]}, "'weights' is 3"),
        ({"revisions": [{"repository": "a/b", "revision": 4, "weights": {}}]}, "4 where a text"),
        ({"revisions": [{"revision": "x", "weights": {}}]}, "no 'repository'"),
        ({"more": 1}, "unknown key 'more'"),
    ],
)
def test_what_is_no_audit_is_one_line(tmp_path, changes, said):
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(summed(page.as_json(audited()) | changes)))
    with pytest.raises(ResultsError, match="not an audit's JSON") as refused:
        earlier.read(path)
    assert said in str(refused.value)


def test_a_file_that_is_not_there_or_damaged_is_one_line(tmp_path):
    with pytest.raises(ResultsError, match="No such file"):
        earlier.read(tmp_path / "none.json")
    path = page.write(audited(revision("step1", "1")), tmp_path)[1]
    path.write_text(path.read_text().replace("step1", "step2"))
    with pytest.raises(ResultsError, match="damaged"):
        earlier.read(path)
