"""The scripts of things to touch: bundled whole, in order, put only where they are wanted; and what they compute."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import touching
from tests.book.touch_page import in_node, needs_node

from helpers.measure.rounding import gptq_solver, grids

SETTINGS = [(seed, bits, group) for seed in range(4) for bits in (2, 3, 4) for group in (2, 4, 8)]


def test_modules_come_after_what_they_need_and_their_names_are_distinct():
    order = touching.modules("start")
    assert order[-1] == "start"
    assert len(order) == len(set(order)) == len(list(touching.SOURCES.glob("*.js")))
    whole = touching.script()
    assert not re.search(r"^(import|export) ", whole, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", whole, re.MULTILINE)
    assert sorted(names) == sorted(set(names))


def test_script_and_style_are_put_only_on_pages_with_a_thing_to_touch():
    added = []
    app = SimpleNamespace(
        add_js_file=lambda name, **_: added.append(name), add_css_file=lambda name, **_: added.append(name)
    )
    touching.add_touch(app, "a", "page.html", {"body": "<p>plain</p>"}, None)
    assert added == []
    touching.add_touch(app, "b", "page.html", {"body": '<div class="touch" id="grid"></div>'}, None)
    assert added == ["vendor/touch.js", "vendor/touch.css"]


def test_they_are_written_only_into_a_book_that_wants_them(tmp_path):
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    page, written = tmp_path / "a.html", tmp_path / "_static/vendor/touch.js"
    page.write_text("<p>plain</p>")
    touching.write_touch(app, None)
    assert not written.exists()
    page.write_text('<div class="touch"></div>')
    touching.write_touch(app, None)
    assert written.read_text() == touching.script()
    assert (tmp_path / "_static/vendor/touch.css").exists()


@needs_node
def test_amounts_are_read_and_written_as_people_do():
    read = {
        "7B": 7e9,
        "15T": 15e12,
        " 1.5e12 ": 1.5e12,
        "0.6m": 6e5,
        "300 B": 3e11,
        "-7B": None,
        "many": None,
        "": None,
    }
    assert in_node("numbers", [("amount", [words]) for words in read]) == pytest.approx(list(read.values()))
    written = {7e9: "7B", 15e12: "15T", 134515008: "135M", 999.9e6: "1B", 602112: "602k", 12: "12", 3e17: "3e17"}
    assert in_node("numbers", [("amountWords", [value]) for value in written]) == list(written.values())
    shown = in_node(
        "numbers", [("fixed", [-0.5, 1]), ("fixed", [-0.001, 2]), ("percent", [0.1234]), ("twoDigits", [1234])]
    )
    assert shown == ["−0.5", "0.00", "12.3%", "1200"]


@needs_node
def test_a_row_is_rounded_as_the_package_does():
    rows = [torch.tensor(np.random.default_rng(s).uniform(-1, 1, 8).round(2)) for s, _, _ in SETTINGS]
    rows[0] = torch.zeros(8, dtype=torch.float64)
    rows[1] = torch.tensor([1.0, 0.5, 0.0, 1.5, 2.5, 3.0, 3.5, 2.0], dtype=torch.float64)  # ties
    found = in_node(
        "rounding", [("roundRow", [row.tolist(), b, g]) for row, (_, b, g) in zip(rows, SETTINGS, strict=True)]
    )
    for row, (_, bits, group), answer in zip(rows, SETTINGS, found, strict=True):
        values = grids.round_to_grid(row[None], bits, False, group)[0]
        grid = grids.fit(row.unflatten(-1, (-1, group)), bits, False)
        assert answer["codes"] == grids.round_to_integer(row[None], bits, False, group).codes[0].tolist()
        assert answer["values"] == pytest.approx(values.tolist(), rel=1e-12, abs=1e-12)
        assert [one["scale"] for one in answer["grids"]] == pytest.approx(grid.scale.flatten().tolist(), rel=1e-12)
        assert [one["zero"] for one in answer["grids"]] == grid.zero.flatten().tolist()
        assert answer["squares"] == pytest.approx(float((row - values).square().sum()), rel=1e-9, abs=1e-12)


@needs_node
def test_stored_bits_are_those_of_the_package():
    (answer,) = in_node("rounding", [("roundRow", [[0.1] * 8, 4, 8])])
    assert answer["storedBits"] == 4 + (16 + 4) / 8


@needs_node
def test_gptq_is_the_package_s_at_every_step():
    calls, expected = [], []
    for seed, bits, _ in SETTINGS:
        random = np.random.default_rng(seed)
        weights, inputs = (torch.tensor(random.normal(size=shape)) for shape in ((3, 4), (5 + seed, 4)))
        hessian = gptq_solver.second_moments(inputs) / len(inputs)
        calls.append(("gptqSteps", [weights.tolist(), hessian.tolist(), bits, 0.01]))
        expected.append((weights, hessian, bits))
    for (weights, hessian, bits), found in zip(expected, in_node("rounding", calls), strict=True):
        factor, _ = gptq_solver.inverse_factor(hessian, 0.01)
        plainly = gptq_solver.solve_plainly(weights, hessian, bits, None, False, 0.01)
        nearest = grids.round_to_grid(weights, bits, False, None)
        assert torch.allclose(torch.tensor(found["factor"], dtype=torch.float64), factor, rtol=1e-9, atol=1e-12)
        last = found["steps"][-1]
        assert torch.allclose(torch.tensor(last["weights"], dtype=torch.float64), plainly, rtol=1e-9, atol=1e-12)
        for name, answer in (("lost", plainly), ("lostNearest", nearest)):
            lost = gptq_solver.relative_error(weights, answer, hessian)
            assert last[name] == pytest.approx(float(lost), rel=1e-9)
        grid = grids.fit(weights, bits, False)
        current = weights.clone()
        for j, step in enumerate(found["steps"][1:]):
            error = current[:, [j]] - grid.decode(grid.encode(current[:, [j]]))
            moves = -error / factor[j, j] * factor[j]
            moves[:, : j + 1] = 0
            assert step["errors"] == pytest.approx(error.flatten().tolist(), rel=1e-9, abs=1e-12)
            assert np.allclose(step["moves"], moves, rtol=1e-9, atol=1e-12)
            current = current + moves
            current[:, j] = grid.decode(grid.encode(current[:, j][:, None]))[:, 0]
            assert [codes[j] for codes in step["codes"]] == grid.encode(current[:, [j]]).flatten().tolist()
