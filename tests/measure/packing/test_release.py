import pytest
from rich.console import Console
from tests.measure.tiny import ROOT

from helpers.measure.packing import release
from helpers.table.errors import QuantizationError


def test_a_family_s_release_replaces_the_last_one_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = tmp_path / "release"

    def write_all(text: str, n_whole: int) -> None:
        written = []

        def write(spec, bits, rows, folder):
            if len(written) == n_whole:
                raise QuantizationError("broken off")
            written.append(folder)
            folder.mkdir()
            (folder / "it").write_text(text)

        monkeypatch.setattr(release, "release", write)
        release.release_family(out, Console(quiet=True))

    write_all("first", 100)
    write_all("second", 100)
    with pytest.raises(QuantizationError, match="broken off"):
        write_all("third", 2)
    assert {path.read_text() for path in out.glob("*/it")} == {"second"}
    assert [path.name for path in tmp_path.iterdir()] == ["release"]
