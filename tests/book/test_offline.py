from types import SimpleNamespace

import offline
import pytest
from docutils import nodes
from docutils.utils import new_document


def test_mathjax_is_in_the_pinned_wheel():
    for part in offline.MATHJAX_PARTS:
        assert (offline.mathjax_folder() / part).exists(), part


def test_thebe_is_recognised_by_name_and_by_its_address_and_nothing_else_is():
    by_name = SimpleNamespace(filename="_static/sphinx-thebe.js", attributes={})
    by_address = SimpleNamespace(filename=None, attributes={"body": "const THEBE_JS_URL = ''"})
    other = SimpleNamespace(filename="_static/design-tabs.js", attributes={})
    context = {"script_files": [by_name, other, by_address], "css_files": ["_static/book.css"]}
    offline.drop_thebe(None, "index", "page.html", context, None)
    assert context == {"script_files": [other], "css_files": ["_static/book.css"]}


def raw(text, *classes):
    return nodes.raw("", text, format="html", classes=list(classes))


def test_html_in_markdown_that_a_cell_displays_is_text_and_what_it_displays_as_html_stays():
    planted = "<img src=x onerror='window.PWNED=1'>"
    page, displayed = new_document("page"), nodes.container(classes=["cell_output", "docutils"])
    written = raw("<br>")  # in the chapter's own text
    table, chart = raw("<table></table>", "output", "text_html"), raw('<div class="touch"></div>', "output")
    in_line = nodes.paragraph("", "", nodes.Text("run "), raw(planted))
    displayed.extend([table, nodes.container("", in_line, raw(planted)), chart])
    page.extend([written, displayed])
    offline.show_html_of_markdown(None, page)
    assert list(page.findall(nodes.raw)) == [written, table, chart]
    assert [paragraph.astext() for paragraph in page.findall(nodes.paragraph)] == [f"run {planted}", planted]


@pytest.mark.parametrize(
    ("glued", "shown"),
    [
        ("-0.46", "−0.46"),
        ("0.46", "0.46"),
        ("-0.46 [-0.5, .1]", "−0.46 [−0.5, .1]"),
        ("1e-05", "1e-05"),
        ("a-1", "a-1"),
        ("2026-11-30", "2026-11-30"),
        ("tadpole-128x3", "tadpole-128x3"),
    ],
)
def test_a_negative_number_that_was_glued_has_a_minus_sign(glued, shown):
    pasted, typed = nodes.inline(glued, glued, classes=["pasted-text"]), nodes.inline("-0.46", "-0.46")
    page = new_document("page")
    page.append(nodes.paragraph("", "", pasted, typed))
    offline.show_minus_signs(None, page, "page")
    assert [one.astext() for one in page.findall(nodes.inline)] == [shown, "-0.46"]


def test_what_no_page_asks_for_is_left_out(tmp_path):
    kept = [
        "_static/mathjax/sre/mathmaps/en.json",
        "_static/vendor/icons/a.woff2",
        "_static/styles/a.css",
        "data/hi.json",
    ]
    dropped = [
        "_static/mathjax/sre/mathmaps/hi.json",
        "_static/vendor/icons/a.ttf",
        "_static/styles/a.css.map",
        "_static/vendor/fontawesome/6/js/all.js",
    ]
    for name in kept + dropped:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    offline.drop_unused(SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html")), None)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_pages_ask_for_no_fonts_beforehand_and_draw_icons_by_their_font_alone(tmp_path):
    kept = '<link href="_static/vendor/fontawesome/6/css/all.min.css" rel="stylesheet" />\n<script src="_static/a.js"></script>'
    dropped = '\n<link rel="preload" as="font" href="a.woff2">\n<script src="_static/vendor/fontawesome/6/js/all.min.js?digest=1"></script>'
    (tmp_path / "page.html").write_text(kept + dropped)
    offline.lighten_heads(SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html")), None)
    assert (tmp_path / "page.html").read_text() == kept
