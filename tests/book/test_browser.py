"""Every built page in a real browser: light and dark, desktop and phone. Run by `make check`, after the build."""

from pathlib import Path

import pytest
from tests.book.browsing import NEEDS_CHROMIUM

import pdf

SITE = Path(__file__).parents[2] / "book" / "_build" / "html"
PAGES = sorted(
    p for p in SITE.rglob("*.html") if "_static" not in p.parts and p.name not in ("genindex.html", "search.html")
)
LARGEST_SITE = 30 * 2**20
VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PAGES, reason="no built book: make book"),
    NEEDS_CHROMIUM,
]

LOOK = """() => ({
  overflow: document.documentElement.scrollWidth - window.innerWidth,
  images: [...document.images].map(i => ({src: i.getAttribute('src'), alt: i.alt.trim(), width: i.naturalWidth})),
  unset: [...document.querySelectorAll('div.math, span.math')].filter(m => !m.querySelector('mjx-container')).length,
  mathErrors: document.querySelectorAll('mjx-merror, [data-mjx-error]').length,
  untouched: [...document.querySelectorAll('.touch')].filter(one => !one.dataset.values).length,
  theme: document.documentElement.dataset.theme,
})"""

# On paper: what reaches beyond the text's width, and what should have gone with the screen.
PRINTED = """() => {
  const article = document.querySelector("article.bd-article"), seen = element => element.getClientRects().length > 0;
  const edge = article.getBoundingClientRect().right + 1;
  const name = element => `${element.tagName} ${element.className} ${Math.round(element.getBoundingClientRect().right - edge)}`;
  const shown = [...article.querySelectorAll("img, svg, table, pre, mjx-container, figcaption")].filter(seen);
  const bars = ".headerlink, .copybtn, .cell summary, .cell.tag_hide-input > .cell_input, .prev-next-area, .bd-header-article";
  return {
    wide: shown.filter(one => one.getBoundingClientRect().right > edge && !one.closest("[aria-hidden='true'], mjx-assistive-mml")).map(name),
    cut: shown.filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === "hidden").map(name),
    bars: [...document.querySelectorAll(bars)].filter(seen).map(name),
    titled: [...article.querySelectorAll("h1")].filter(seen).length,
  };
}"""
# What axe calls serious or critical; less than that (moderate, minor) is advice, much of it about the theme's landmarks.
STOPPING = ("serious", "critical")
LOOKING = {"resultTypes": ["violations"], "preload": False}  # it would ask for the style sheets once more
# In the dark a page has the same elements in other colours: the rules that look at these.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}


# Tables: captions with a number, cells that say what they head, names for people; more columns than a phone shows scroll.
MOST_COLUMNS = 5
# What a thing to touch draws has its own tests. Folded ones are opened first.
OPEN = "() => document.querySelectorAll('article.bd-article details').forEach(one => { one.open = true; })"
TABLES = """most => [...document.querySelectorAll("article.bd-article table")].filter(one => !one.closest(".touch")).map(table => {
  const box = table.closest(".pst-scrollable-table-container, .text_html"), seen = table.getClientRects().length > 0;
  const head = [...table.querySelectorAll("th")].filter(cell => cell.textContent.trim());
  const wide = Math.max(...[...table.rows].map(row => row.cells.length)) > most;
  return {
    name: table.caption?.textContent || table.textContent.trim().slice(0, 60),
    captioned: /^Table \\S+ \\S/.test(table.caption?.textContent.trim() || ""),
    scoped: head.every(cell => cell.scope),
    raw: head.map(cell => cell.textContent.trim()).filter(text => /^[a-z0-9]+(_[a-z0-9]+)+$/.test(text)),
    cut: seen && table.scrollWidth > innerWidth && !box?.matches(".scrolls"),
    hidden: seen && wide && box?.scrollWidth > box?.clientWidth + 1 && !getComputedStyle(box, "::before").content.includes("sideways"),
  };
})"""


def barriers(page, **only) -> list[str]:
    """Return what axe (by all of its rules, or only some) finds on an open page that would stop a reader, a line each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=LOOKING | only).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {' '.join(map(str, node['target']))}"
        for rule in found
        if rule["impact"] in STOPPING
        for node in rule["nodes"]
    ]


EVERY_PAGE = pytest.mark.parametrize("opened", PAGES, indirect=True, ids=lambda path: path.relative_to(SITE).as_posix())


@pytest.fixture(scope="module")
def opened(browser, request):
    """Return a function that opens a page at a width in a theme, once for all tests of this page."""
    views = {}

    def at(width, scheme):
        if (width, scheme) not in views:
            views[width, scheme] = opened_page(browser, request.param, width, scheme)
        return views[width, scheme]

    yield at
    for page, _ in views.values():
        page.close()


def opened_page(browser, path, width, scheme):
    """Return a page whose mathematics is set, and what went wrong on the way, also from then on."""
    faults = []
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("console", lambda m: m.type in ("error", "warning") and faults.append(f"console {m.type}: {m.text}"))
    page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    page.on("request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or faults.append(f"request: {r.url}"))
    page.on("requestfailed", lambda request: faults.append(f"lost: {request.url}"))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    if page.locator("div.math, span.math").count():
        page.wait_for_function("window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise.then(() => true)")
    return page, faults


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: f"{view[0]}-{view[1]}")
@EVERY_PAGE
def test_a_page_opens_without_a_fault(opened, view):
    page, faults = opened(*view)
    seen = page.evaluate(LOOK)
    stopping = barriers(page, **(COLOURS if view[1] == "dark" else {}))
    assert faults == []
    assert stopping == []
    assert seen["overflow"] <= 0, f"{seen['overflow']} px wider than the window"
    assert [i for i in seen["images"] if not i["alt"] or not i["width"]] == []
    assert (seen["unset"], seen["mathErrors"], seen["untouched"]) == (0, 0, 0)
    assert seen["theme"] == view[1]


@EVERY_PAGE
def test_a_page_is_whole_on_paper(opened):
    page, _ = opened(1280, "light")
    if page.url.endswith("/slides.html"):
        pytest.skip("slides have paper of their own: tests/book/test_slides.py")
    page.set_viewport_size(pdf.PAPER)
    page.emulate_media(media="print")
    page.wait_for_function(pdf.DRAWN)
    seen = page.evaluate(PRINTED)
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert seen == {"wide": [], "cut": [], "bars": [], "titled": 1}


@EVERY_PAGE
def test_tables_have_captions_numbers_scopes_and_readable_names_and_none_is_cut_on_a_phone(opened):
    page, _ = opened(390, "light")
    if page.url.endswith("/slides.html"):
        pytest.skip("slides are no page of the book")
    page.evaluate(OPEN)
    page.wait_for_timeout(100)  # boxes are watched for their size
    tables = page.evaluate(TABLES, MOST_COLUMNS)
    assert [table["name"] for table in tables if not table["captioned"]] == []
    assert [table["name"] for table in tables if not table["scoped"]] == []
    assert [table["raw"] for table in tables if table["raw"]] == []
    assert [table["name"] for table in tables if table["cut"] or table["hidden"]] == []


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=str)
def test_the_front_page_says_what_was_found_how_sure_and_what_to_do_in_its_first_screen(browser, size):
    page = browser.new_page(viewport=dict(zip(("width", "height"), size, strict=True)))
    page.goto((SITE / "index.html").as_uri())
    points = page.locator(".findings li")
    said = {point.inner_text().split(".")[0]: point.bounding_box() for point in points.all()}
    page.close()
    assert list(said) == ["Found", "How sure", "What to do"]
    assert max(box["y"] + box["height"] for box in said.values()) <= size[1]


def test_the_site_stays_small():
    sizes = {path.relative_to(SITE).as_posix(): path.stat().st_size for path in SITE.rglob("*") if path.is_file()}
    largest = sorted(sizes, key=sizes.get)[-8:]
    assert sum(sizes.values()) <= LARGEST_SITE, [f"{name}: {sizes[name]}" for name in largest]
