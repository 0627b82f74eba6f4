// A term's definition without leaving the page: on hover, on keyboard focus, and on a phone on the first tap (the second
// follows the link). Escape or a tap elsewhere closes it. A screen reader reads it as the link's description. Without
// this script a browser shows the link's title.
(() => {
  const tip = document.createElement("div");
  tip.className = "term-tip";
  tip.hidden = true;
  let open = null, byTouch = false;

  const close = () => {
    tip.hidden = true;
    open = null;
  };
  const show = link => {
    open = link;
    tip.textContent = document.getElementById(link.getAttribute("aria-describedby")).textContent;
    tip.hidden = false;
    const at = link.getClientRects()[0], margin = 8;
    const left = Math.min(at.left, document.documentElement.clientWidth - tip.offsetWidth - margin);
    const fits = at.bottom + tip.offsetHeight < innerHeight;
    tip.style.left = `${scrollX + Math.max(margin, left)}px`;
    tip.style.top = `${scrollY + (fits ? at.bottom : at.top - tip.offsetHeight)}px`; // no gap: a mouse may move onto it
  };

  document.addEventListener("DOMContentLoaded", () => {
    const terms = document.querySelectorAll(".bd-article a.reference[title]:has(> .std-term)");
    if (!terms.length) return;
    const texts = new Map();
    for (const link of terms) {
      if (!texts.has(link.title)) {
        const text = document.createElement("span");
        text.id = `definition-${texts.size + 1}`;
        text.hidden = true;
        text.textContent = link.title;
        texts.set(link.title, text);
      }
      link.setAttribute("aria-describedby", texts.get(link.title).id);
      link.removeAttribute("title");
      link.addEventListener("pointerdown", event => { byTouch = event.pointerType !== "mouse"; });
      link.addEventListener("mouseenter", () => show(link));
      link.addEventListener("mouseleave", event => { if (event.relatedTarget !== tip) close(); });
      link.addEventListener("focus", () => { if (!byTouch) show(link); });
      link.addEventListener("blur", close);
      link.addEventListener("click", event => {
        if (byTouch && link.dataset.tapped !== "once") {
          event.preventDefault();
          link.dataset.tapped = "once";
          show(link);
        }
      });
    }
    tip.addEventListener("mouseleave", close);
    document.body.append(...texts.values(), tip);
    document.addEventListener("keydown", event => { if (event.key === "Escape") close(); });
    document.addEventListener("pointerdown", event => {
      byTouch = event.pointerType !== "mouse";
      if (open && event.target !== tip && !open.contains(event.target)) {
        delete open.dataset.tapped;
        close();
      }
    });
  });
})();
