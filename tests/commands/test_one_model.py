"""`qid measure` from the command line: options with several values, the table, JSON, the report, one line for errors."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import fields

import pytest
from safetensors.torch import load_file, save_file
from tests.measure.foreign import passages, texts, write_model, write_texts
from tests.measure.tiny import ROOT
from typer.testing import CliRunner

from helpers.analyse.judgement.one_model import AS_EXPECTED, FAILED, LESS, MORE, NOTHING, UNKNOWN
from helpers.cli import app
from helpers.measure.comparing.compare import Line
from helpers.measure.models.gguf import gguf_files
from helpers.table.errors import CorpusError, ResultsError
from helpers.table.files import read_table

KINDS = (NOTHING, AS_EXPECTED, MORE, LESS, UNKNOWN, FAILED)


def measure(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "-m", "helpers.cli", "measure", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def undocumented(names: Iterable[str]) -> set[str]:
    """Return those of the names that the section of the page of commands on one's own model lacks."""
    section = (ROOT / "book/commands.md").read_text().partition("\n## A model of your own\n")[2].partition("\n## ")[0]
    return {name for name in names if f"`{name}`" not in section}


def test_a_model_and_a_text_give_a_table_rows_a_page_and_a_card(tmp_path):
    model = write_model(tmp_path / "llama", "llama")
    scored = write_texts(tmp_path / "scored.jsonl", passages(24))
    calibrating = write_texts(tmp_path / "calibrating.jsonl", texts())
    report, table = tmp_path / "report", ("--table", f"{tmp_path}/t.parquet", "--records", f"{tmp_path}/records")
    asked = (str(model), "--bits", "2", "8", "--text", str(scored), "--calibration", str(calibrating), *table)
    asked += ("--seq-len", "32", "--tokens", "1M", "--quick")
    report.mkdir()
    (report / ".report.html.0123abcd.unfinished").write_text("what a kill left")
    done = measure(*asked, "--report", str(report))
    assert sorted(path.name for path in report.iterdir()) == ["quantization-card.md", "report.html"]
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split("  ")[0].strip() == "text"
    assert [line.split()[:4] for line in lines[:2]] == [["scored.jsonl", "gptq", str(bits), "bits"] for bits in (2, 8)]
    assert "llama: gptq 2 bits g64 asymmetric measured" in done.stderr
    assert "Loading weights" not in done.stderr
    assert "What rounding does to llama" in (report / "report.html").read_text()
    assert str(tmp_path) not in (report / "report.html").read_text() + (report / "quantization-card.md").read_text()
    again = measure(*asked, "--json")
    shown = json.loads(again.stdout)
    assert (shown["n_measured"], shown["n_present"], shown["failures"]) == (0, 3, [])
    assert [each["bits"] for each in shown["findings"]] == [2, 8]
    assert shown["tokens_seen"] == 10**6
    assert shown["findings"][0]["expected"]["law"] == "tokens-per-parameter"
    assert undocumented([*shown, *shown["findings"][0], *shown["findings"][0]["expected"], *KINDS]) == set()
    printed = float(lines[0].partition("±")[0].split()[-1])  # of either sign: what it is trained on are sources
    assert shown["findings"][0]["qid_nats"] == pytest.approx(printed, abs=1e-4)


def test_a_mixture_of_experts_is_measured_and_its_unreached_experts_are_named(tmp_path):
    """The first block's router has rows u, -u, v, -v and 0: two of the first four come before the last, whatever comes."""
    model = write_model(tmp_path / "mixtral", "mixtral")
    weights = load_file(model / "model.safetensors")
    router = weights["model.layers.0.block_sparse_moe.gate.weight"]
    router[1], router[3], router[4] = -router[0], -router[2], 0
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    texts_of = (write_texts(tmp_path / "scored.jsonl", passages(24)), write_texts(tmp_path / "more.jsonl", texts()))
    asked = (str(model), "--bits", "4", "--text", str(texts_of[0]), "--calibration", str(texts_of[1]), "--quick")
    asked += ("--seq-len", "32", "--table", f"{tmp_path}/t.parquet", "--records", f"{tmp_path}/records")
    refused = measure(*asked, "--method", "gptq", "rtn")
    assert "failed: experts with fewer calibration tokens than columns: 0.mlp.experts." in refused.stdout
    assert "0.mlp.experts.4 (0)" in refused.stdout
    done = measure(*asked, "--method", "gptq", "--unreached-experts", "rtn")
    assert done.returncode == 0, done.stderr
    rows = {(row["method"], row["unreached_experts"]): row for row in read_table(tmp_path / "t.parquet").to_pylist()}
    assert {key: row["status"] for key, row in rows.items()} == {
        ("none", None): "ok",
        ("rtn", None): "ok",
        ("gptq", None): "failed",
        ("gptq", "rtn"): "ok",
    }
    row = rows["gptq", "rtn"]
    assert "0.mlp.experts.4" in row["hardly_reached"]
    assert len(row["expert_tokens"]) == 2 * 5
    assert row["expert_tokens"][4] == 0
    assert sum(row["expert_tokens"]) == 2 * 2 * 512
    assert rows["rtn", None]["expert_tokens"] is None


def test_the_page_names_every_key_of_compare():
    assert undocumented([*(field.name for field in fields(Line)), "base", "lines", "failures"]) == set()


def test_own_texts_need_nothing_of_this_repository(tmp_path, monkeypatch):
    model = write_model(tmp_path / "llama", "llama")
    write_texts(tmp_path / "mine.jsonl", passages(24))
    others = (path.read_text() for path in sorted((ROOT / "src/helpers/analyse").rglob("*.py")))
    write_texts(tmp_path / "calibrating.jsonl", [text for text in others if text])
    monkeypatch.chdir(tmp_path)
    text, calibration = ["--text", "mine.jsonl"], ["--calibration", "calibrating.jsonl"]
    for asked in (
        ["measure", "llama", "--bits", "4", *text, *calibration, "--seq-len", "32", "--quick"],
        ["export", "llama", "--bits", "4", "--out", "packed", *calibration],
        ["compare", "llama", "packed", *text, "--seq-len", "32", "--quick"],
        ["mixed", "llama", "--budget", "50", "--bits", "4", "--sequences", "8", *text, *calibration],
    ):
        done = CliRunner().invoke(app, asked, catch_exceptions=False)
        assert done.exit_code == 0, asked[0]
    made = ("packed", "recipe.json", "results/local.parquet")
    assert [name for name in made if not (tmp_path / name).exists()] == []
    with pytest.raises(CorpusError, match=r"data/corpus\.lock: .*; run from the repository's top folder"):
        CliRunner().invoke(app, ["compare", str(model), "packed", "--text", "code"], catch_exceptions=False)


def test_a_gguf_file_is_measured_and_flagged_as_rounded_before_wherever_a_figure_stands(tmp_path, monkeypatch):
    pytest.importorskip("gguf")
    from tests.measure.models.gguf import test_gguf_files as tiny

    model = tiny.llama()
    model.get_input_embeddings().weight.mul_(0.05)  # the head too: untrained, it would be worse than a blind guess
    monkeypatch.setattr(tiny, "llama", lambda width: model)
    monkeypatch.setattr(gguf_files, "CACHE", tmp_path / "cache")
    monkeypatch.chdir(ROOT)
    file = tiny.write(tmp_path / "tiny.Q4_0.gguf", "Q4_0")
    scored = write_texts(tmp_path / "scored.jsonl", passages(24))
    asked = [
        "measure",
        str(file),
        "--bits",
        "3",
        "--method",
        "rtn",
        "--text",
        str(scored),
        "--seq-len",
        "32",
        "--quick",
    ]
    asked += [
        "--calibration",
        str(write_texts(tmp_path / "calibrating.jsonl", texts())),
        "--report",
        f"{tmp_path}/report",
    ]
    asked += ["--table", f"{tmp_path}/t.parquet", "--records", f"{tmp_path}/records"]
    said = "tiny.Q4_0: weights that were rounded before, to 4.50 bits a weight in the blocks (4.57 in all; Q4_0 99.7%, "
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert done.exit_code == 0
    assert f"  {said}" in done.stderr.partition("about")[0]  # the plan
    assert said in done.stdout
    for name in ("report.html", "quantization-card.md"):
        written = (tmp_path / "report" / name).read_text()
        assert "weights that were rounded before, to 4.50 bits a weight" in written.replace("\\", "")
        assert str(tmp_path) not in written
    again = CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False)
    assert (shown := json.loads(again.stdout))["n_present"] == 2
    assert shown["notes"][0].startswith(said)
    assert len([note for note in shown["notes"] if "rounded before" in note]) == 1
    refused = CliRunner().invoke(app, [*asked, "--revision", "main"])
    assert str(refused.exception).endswith(
        "a file has no --revision 'main'; accepted: a Hub repository such as owner/name"
    )


def test_a_report_that_can_not_be_written_is_told_before_any_work(tmp_path):
    (tmp_path / "report/quantization-card.md").mkdir(parents=True)
    for place, said in (
        ("report", "quantization-card.md: a folder; accepted: a place for a file"),
        ("x" * 300, "too long"),
    ):
        with pytest.raises(ResultsError, match=said):
            CliRunner().invoke(app, ["measure", "no model", "--report", f"{tmp_path}/{place}"], catch_exceptions=False)


def test_what_can_not_be_measured_is_one_line_and_nothing_is_written(tmp_path):
    table = ("--table", f"{tmp_path}/t.parquet", "--records", f"{tmp_path}/records")
    for words, said in (
        (("none",), "none: no such folder; accepted: a folder, or a Hub repository such as owner/name"),
        (("none", "--bits", "1"), "--bits is 1; accepted: 2 to 8"),
        (("none", "--tokens", "two"), "--tokens is 'two'; accepted: a number from 1 to 1e15, such as 2T"),
    ):
        done = measure(*words, *table)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert said in done.stderr
    assert not list(tmp_path.iterdir())
