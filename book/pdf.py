"""The whole book as one PDF, by the Chromium that looks through the pages: `make pdf`.

    python book/pdf.py book/_build/html book/_build/the-qid-book.pdf

The built pages are joined in the order of the table of contents into one page, with a title, contents and, at the end,
the solutions; links between pages lead inside it. `_static/print.css` says how paper looks. Each chapter's name stands
at the foot of its pages, with the number.
"""

import os
import re
import shutil
import sys
from html import escape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

BOOK = Path(__file__).resolve().parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 300  # for all formulas and charts of the book to be drawn
# Scripts that a page on the screen needs and paper doesn't: the theme's, and those of buttons.
ON_SCREEN = re.compile(
    r"_static/(scripts|vendor/fontawesome|clipboard|copybutton|togglebutton|design-tabs|doctools|sphinx_highlight"
    r"|documentation_options|terms|scrolling)"
)
EXERCISE = re.compile(r"(\d+)\.")
SOLUTION = ".admonition.dropdown, .cell.solution"
FOOT = '@bottom-left { content: "%s"; font: 9pt sans-serif; color: #555; }'
STYLE = """
@page { FOOT }
@page title { @bottom-left { content: none; } @bottom-right { content: none; } }
.title-page { page: title; text-align: center; padding-top: 70mm; }
.title-page h1 { font-size: 32pt; }
.part, .page { break-before: page; }
.part > h1 { padding-top: 90mm; text-align: center; }
.book-contents { column-count: 2; font-size: 9pt; }
.book-contents h1 { column-span: all; }
.book-contents ol { list-style: none; padding-left: 1.2em; }
.book-contents > ol { padding-left: 0; }
.to-solution { font-size: 0.85em; margin: 0 0 0.8em; }
"""
PAGE = """<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{title}</title>
{head}
<style>{styles}</style></head>
<body><main class="bd-main"><div class="bd-content"><div class="bd-article-container">
<section class="title-page"><h1>{title}</h1><p>{question}</p><p>{author}</p></section>
<nav class="book-contents page"><h1>Contents</h1><ol>{contents}</ol></nav>
{body}
</div></div></main></body></html>
"""


class PdfError(Exception):
    """A book that can't be printed; its text is for a person."""


def prefix(name: str) -> str:
    """Return what the ids of a page begin with in the book: pages have sections of the same name."""
    return f"{name.replace('/', '-')}--"


def inside(address: str, name: str, names: list[str]) -> str | None:
    """Return where a link of page `name` leads inside the book: the id, or None for a link that leaves the book."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    target = os.path.normpath(Path(name).parent / unquote(parts.path)) if parts.path else f"{name}.html"
    page = target.removesuffix(".html")
    return f"{prefix(page)}{unquote(parts.fragment)}" if page in names and target.endswith(".html") else None


def adopt(article: Tag, name: str, names: list[str], site: str) -> None:
    """Make ids of a page unique in the book, its links lead inside it and its files be found from elsewhere."""
    own = {tag["id"] for tag in article.find_all(id=True)}

    def renamed(value: str) -> str:
        return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix(name)}\1)", value)

    for tag in [article, *article.find_all(True)]:
        for key, value in list(tag.attrs.items()):
            if key == "id":
                tag[key] = prefix(name) + value
            elif key in ("aria-describedby", "aria-labelledby", "for"):
                words = value if isinstance(value, list) else value.split()
                tag[key] = " ".join(prefix(name) + word for word in words)
            elif key in ("href", "xlink:href") and tag.name != "a":
                tag[key] = f"#{prefix(name)}{value[1:]}" if value[1:] in own else value
            elif key == "href":
                place = inside(value, name, names)
                tag[key] = f"#{place}" if place else value
            elif key == "src" and not urlsplit(value).scheme:
                tag[key] = f"{site}/{os.path.normpath(Path(name).parent / value)}"
            elif isinstance(value, str) and "url(#" in value:
                tag[key] = renamed(value)
    article["id"] = prefix(name)


def take_solutions(article: Tag, name: str, number: str) -> list[Tag]:
    """Take a page's solutions out, with a link in the place of each; each begins with its exercise's number."""
    taken: list[Tag] = []
    document = BeautifulSoup("", "html.parser")
    for solution in article.select(SOLUTION):
        strong = next((one for one in solution.find_all_previous("strong") if EXERCISE.fullmatch(one.get_text())), None)
        label = f"{number}{strong.get_text().rstrip('.') if strong else len(taken) + 1}"
        anchor = f"{prefix(name)}solution-{len(taken) + 1}"
        link = document.new_tag("p", attrs={"class": "to-solution"})
        link.append(document.new_tag("a", href=f"#{anchor}", string="Answer at the end of the book"))
        solution.replace_with(link)
        place = document.new_tag("section", id=anchor, attrs={"class": "solution"})
        place.append(document.new_tag("h3", string=f"Exercise {label}"))
        for bar in solution.select(".admonition-title, summary"):
            bar.decompose()
        for folded in solution.select("details"):
            folded.name, folded["class"] = "div", []
        solution["class"] = [one for one in solution["class"] if one not in ("dropdown", "admonition", "toggle")]
        place.append(solution)
        taken.append(place)
    return taken


def read(site: Path, name: str) -> tuple[Tag, Tag]:
    """Return the head and the article of a built page; PdfError if it has none."""
    path = site / f"{name}.html"
    if not path.is_file():
        raise PdfError(f"{path} isn't there: make book")
    page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    article = page.select_one("article.bd-article")
    if page.head is None or article is None:
        raise PdfError(f"{path}: no article; is it a page of the book?")
    for link in article.select(".headerlink, .page-links, script.thebe"):
        link.decompose()
    return page.head, article


def wanted(tag: Tag) -> bool:
    """Tell whether paper needs a style sheet or script: styles, formulas and charts, nothing of the screen."""
    if tag.name == "link":
        return "stylesheet" in tag.get("rel", []) and not ON_SCREEN.search(tag["href"])
    return not ON_SCREEN.search(tag["src"]) if tag.get("src") else "MathJax" in tag.text


def heads(found: list[tuple[str, Tag]], site: str) -> str:
    """Return the style sheets and scripts of all pages, each once, in their order."""
    kept: dict[str, None] = {}
    for name, head in found:
        for tag in filter(wanted, head.find_all(["link", "script"])):
            key = "href" if tag.name == "link" else "src"
            if tag.get(key):
                tag[key] = f"{site}/{os.path.normpath(Path(name).parent / tag[key])}"
            kept[str(tag)] = None
    return "\n".join(kept)


def heading(article: Tag) -> str:
    """Return a page's title with its number."""
    title = article.find("h1")
    return " ".join(title.get_text().split()) if title else ""


def feet(titles: dict[str, str]) -> str:
    """Return the styles that put a chapter's title at the foot of its pages, by the page's name."""
    plain = {name: title.replace("\\", "").replace('"', "'") for name, title in titles.items()}
    return "\n".join(f"@page p-{prefix(name)} {{ {FOOT % title} }}" for name, title in plain.items())


def listed(part: dict, index: int, titles: dict[str, str]) -> str:
    """Return the contents of one part: its pages' titles, each a link."""
    chapters = [chapter["file"] for chapter in part["chapters"]]
    links = "".join(f'<li><a href="#{prefix(name)}">{escape(titles[name])}</a></li>' for name in chapters)
    return f'<li><a href="#part-{index}">{escape(part["caption"])}</a><ol>{links}</ol></li>'


def joined(site: Path, toc: dict, title: str, author: str, where: str) -> str:
    """Return the whole book as one page whose files are found under the address `where`. PdfError as `read` says."""
    names = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    pages = {name: read(site, name) for name in names}
    titles = {name: heading(article) for name, (_, article) in pages.items()}
    solutions = []
    for name, (_, article) in pages.items():
        adopt(article, name, names, where)
        number = re.match(r"\w+\.", titles[name])
        taken = take_solutions(article, name, number[0] if number else "")
        solutions += [f"<h2>{escape(titles[name])}</h2>", *map(str, taken)] if taken else []
        article["style"] = f"page: p-{prefix(name)}"
        article["class"] = [*article["class"], "page"]
    body = [str(pages[toc["root"]][1])]
    for index, part in enumerate(toc["parts"]):
        body.append(f'<section class="part" id="part-{index}"><h1>{escape(part["caption"])}</h1></section>')
        body += [str(pages[chapter["file"]][1]) for chapter in part["chapters"]]
    body.append(f'<article class="bd-article page" id="solutions"><h1>Solutions</h1>{"".join(solutions)}</article>')
    contents = [listed(part, index, titles) for index, part in enumerate(toc["parts"])]
    return PAGE.format(
        title=escape(title),
        question=escape(titles[toc["root"]]),
        author=escape(author),
        head=heads([(name, head) for name, (head, _) in pages.items()], where),
        styles=STYLE.replace("FOOT", FOOT % title) + feet(titles),
        contents="".join([*contents, '<li><a href="#solutions">Solutions</a></li>']),
        body="".join(body),
    )


def browser() -> str:
    """Return the browser's program. Raises PdfError where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise PdfError("no Chromium found; accepted: one of " + ", ".join(BROWSERS) + " on the PATH, or CHROMIUM=path")
    return found


DRAWN = """() => [...document.querySelectorAll('.touch')].every(one => one.dataset.values)
  && (!window.MathJax || MathJax.startup.promise.then(() => true))"""
PAPER = {"width": 658, "height": 980}  # what A4 holds between the margins, in pixels of 1/96 inch


def print_page(page: Path, target: Path) -> None:
    """Print a page of HTML. Raises PdfError where there is no Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser(), args=FLAGS)
        opened = running.new_page(viewport=PAPER, color_scheme="light")
        opened.set_default_timeout(SECONDS * 1000)
        opened.emulate_media(media="print")
        opened.goto(page.resolve().as_uri())
        opened.wait_for_function(DRAWN)
        opened.pdf(path=target, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        running.close()


def main(words: list[str]) -> int:
    """Run from the command line; 1 where the book can't be printed."""
    site, target = map(Path, words)
    config = yaml.safe_load((BOOK.parent / "_config.yml").read_text(encoding="utf-8"))
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text(encoding="utf-8"))
    target.parent.mkdir(parents=True, exist_ok=True)
    page = target.with_suffix(".html")
    try:
        where = Path(os.path.relpath(site, page.parent)).as_posix()
        page.write_text(joined(site, toc, config["title"], config["author"], where), encoding="utf-8")
        print_page(page, target)
    except PdfError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{target}: {target.stat().st_size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
