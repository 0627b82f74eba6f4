// What is wider than the page scrolls inside its own box: reachable by keyboard, named, and marked as scrolling.
// A script of the page may draw wide things later (formulas, charts), so boxes are watched.
(() => {
  const KINDS = {
    ".pst-scrollable-table-container, .cell_output .text_html:has(table)": "Table, scrolls sideways",
    "div.math, div.math-wrapper": "Formula, scrolls sideways",
    "div.highlight pre": "Program, scrolls sideways",
  };

  const look = (box, name) => {
    const wide = box.scrollWidth > box.clientWidth + 1;
    box.classList.toggle("scrolls", wide);
    if (wide) {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", name);
    } else if (box.classList.contains("looked-at")) {
      ["tabindex", "role", "aria-label"].forEach(attribute => box.removeAttribute(attribute));
    }
    box.classList.add("looked-at");
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const [selector, name] of Object.entries(KINDS)) {
      for (const box of document.querySelectorAll(`.bd-article :is(${selector})`)) {
        const watch = new ResizeObserver(() => look(box, name));
        watch.observe(box);
        for (const inside of box.children) watch.observe(inside);
        new MutationObserver(() => {
          for (const inside of box.children) watch.observe(inside);
          look(box, name);
        }).observe(box, { childList: true });
      }
    }
  });
})();
