"""Public texts by name: from a stand-in of the Hub as documents, and as texts that a sweep scores and calibrates on."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.measure.foreign import passages
from tests.measure.hub_stand import HubStand, read, served
from tests.measure.sweep.test_run import rows, run
from tests.measure.tiny import ROOT, write_sweep

from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.text import documents, hub_texts, public_texts
from helpers.table.errors import SpecError

ARTICLES = [[" = One = \n", " Words . \n", "", " = = Part = = \n", " More of it . \n"], [" = Two = \n", " Others . \n"]]
SCHEMES = "[{method: [rtn, gptq], bits: 3, group_size: 16, symmetric: false}]"
EVALUATION = "{{sequences: 8, seq_len: 16, texts: [{}]}}"


def parquet(column: str, texts: list[str]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({column: texts}), file)
    return file.getvalue()


def json_lines(texts: list[str]) -> bytes:
    return gzip.compress("".join(json.dumps({"text": text, "url": "u"}) + "\n" for text in texts).encode())


CONTENT = {
    public_texts.TEXTS["refinedweb"]: parquet("content", ["one page", "another"]),
    public_texts.TEXTS["wikitext2"]: parquet("text", ["", *ARTICLES[0], *ARTICLES[1]]),
    public_texts.TEXTS["c4"]: json_lines(["held", "out"]),
    public_texts.CALIBRATIONS["c4"]: json_lines(["seen", "here"])[:-9],
}


@pytest.fixture(scope="module")
def hub():
    """Serve the files that names stand for at their commits, one of them cut short; return the address."""
    served_at = {
        f"/datasets/{each.text.repository}/resolve/{each.text.commit}/{each.text.file}": (each.text.commit, body)
        for each, body in CONTENT.items()
    }

    class Stand(HubStand):
        def respond(self):
            if self.path not in served_at:
                return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
            commit, body = served_at[self.path]
            return self.answer_file(body, commit)

    with served(Stand) as address:
        yield address


def test_names_stand_for_files_of_one_commit_and_rows_have_its_address(hub, tmp_path):
    names = ["refinedweb", "wikitext2", "c4"]
    found = read(hub, tmp_path, *names)
    texts = [["one page", "another"], ["".join(article) for article in ARTICLES], ["held", "out"]]
    addresses = [str(public_texts.TEXTS[name].text) for name in names]
    assert found == [list(each) for each in zip(addresses, texts, strict=True)]
    assert read(hub, tmp_path, *addresses, HF_HUB_OFFLINE="1") == found  # a row's name is an address


def test_a_file_in_gzip_that_is_cut_short_is_one_line(hub, tmp_path):
    address = str(public_texts.CALIBRATIONS["c4"].text)
    (said,) = read(hub, tmp_path, address)
    assert said.startswith(f"{address}: not a gzip file, or a part of one (")
    assert "\n" not in said


def test_texts_are_pinned_and_none_is_scored_on_where_it_is_calibrated():
    scored, calibrating = (
        {each.text for each in named.values()} for named in (public_texts.TEXTS, public_texts.CALIBRATIONS)
    )
    assert not scored & calibrating
    for each in (*public_texts.TEXTS.values(), *public_texts.CALIBRATIONS.values()):
        assert hub_texts.hub_text(str(each.text)) == each.text
        assert each.split in each.text.file
        assert each.licence


@pytest.fixture
def _downloaded(tmp_path, monkeypatch):
    """Files of passages in place of those of the Hub, by name and by address; of the train splits others."""

    def downloaded(text):
        texts = passages(24)[1::2] if "train" in text.file and "wikitext" in text.file else passages(24)[::2]
        lines = [part for number, each in enumerate(texts) for part in (f" = {number} = \n", f" {each}\n")]
        of_lines = lines if text.repository == public_texts.WIKITEXT else texts
        body = parquet(text.column, of_lines) if text.file.endswith(".parquet") else json_lines(texts)
        path = tmp_path / text.file.replace("/", "-")
        path.write_bytes(body)
        return path

    documents.of_the_hub.cache_clear()
    monkeypatch.setattr(hub_texts, "downloaded", downloaded)
    monkeypatch.chdir(ROOT)
    yield
    documents.of_the_hub.cache_clear()


@pytest.mark.usefixtures("_downloaded")
def test_a_sweep_scores_and_calibrates_on_them_and_rows_say_so(tmp_path, family):
    address = f"hf://datasets/someone/words@{'c' * 40}/test.parquet#body"
    path = write_sweep(tmp_path / "s.yml", family, SCHEMES, EVALUATION.format(f"refinedweb, c4, '{address}'"))
    path.write_text(
        path.read_text().replace("{sequences: 4, seq_len: 32}", "{sequences: 4, seq_len: 32, text: wikitext2}")
    )
    report = run(path, tmp_path)
    assert (report.n_measured, report.failures) == (3 * 6, ())
    found = rows(tmp_path / "table.parquet").values()
    named = [str(public_texts.TEXTS[name].text) for name in ("refinedweb", "c4")]
    assert {row["eval_dataset"] for row in found} == {*named, address}
    calibrated = {row["calib_dataset"] for row in found if row["method"] == "gptq"}
    assert calibrated == {str(public_texts.CALIBRATIONS["wikitext2"].text)}
    assert run(path, tmp_path).n_present == 3 * 6


def test_what_a_sweep_cannot_name_is_refused_with_its_line(tmp_path, family):
    path = write_sweep(tmp_path / "s.yml", family, SCHEMES, EVALUATION.format("pile"))
    with pytest.raises(
        SpecError, match=r"s\.yml:2: 'texts' is .*accepted: .*heldout, .*refinedweb.* each once, or hf://"
    ):
        read_sweep(path)
    path = write_sweep(tmp_path / "s.yml", family, SCHEMES, EVALUATION.format("'hf://datasets/a/b/c.txt'"))
    with pytest.raises(SpecError, match=r"s\.yml:2: hf://datasets/a/b/c\.txt: no commit; accepted: hf://"):
        read_sweep(path)
    path = write_sweep(tmp_path / "s.yml", family, SCHEMES, "{sequences: 0, texts: [c4]}")
    with pytest.raises(SpecError, match=r"s\.yml:2: 'sequences' is 0; accepted: 1 or more \(of the text c4\)"):
        read_sweep(path)
    path = write_sweep(tmp_path / "s.yml", family, SCHEMES)
    path.write_text(path.read_text().replace("{sequences: 4, seq_len: 32}", "{sequences: 4, text: refinedweb}"))
    with pytest.raises(SpecError, match=r"s\.yml:3: 'text' is 'refinedweb'; accepted: wikitext2, c4, hf://.*or none"):
        read_sweep(path)
