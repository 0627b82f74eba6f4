// Draws every <div class="live-chart"> from the Vega-Lite specification inside it, again when the reader switches light and dark.
(() => {
  const dark = () => document.documentElement.dataset.theme === "dark";
  const ink = () => getComputedStyle(document.body).color;

  function draw(holder) {
    const spec = JSON.parse(holder.dataset.spec);
    const axis = { labelColor: ink(), titleColor: ink(), tickColor: ink(), domainColor: ink(), gridColor: dark() ? "#3a4048" : "#dddddd" };
    const config = { background: "transparent", axis, legend: { labelColor: ink(), titleColor: ink() }, title: { color: ink() }, view: { stroke: null } };
    vegaEmbed(holder.querySelector(".live-chart-view"), spec, { actions: false, renderer: "svg", config }).then(({ view }) => {
      if (spec.params?.some(({ name }) => name === "said")) speak(holder, view);
    });
  }

  // The chart's own sentence, for those who don't see the chart: read out when a slider has come to rest.
  function speak(holder, view) {
    const words = holder.querySelector("[aria-live]") ?? holder.insertBefore(document.createElement("p"), holder.querySelector(".live-chart-view"));
    words.className = "live-chart-said";
    words.setAttribute("aria-live", "polite");
    words.textContent = view.signal("said");
    let waiting;
    view.addSignalListener("said", (_, said) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { words.textContent = said; }, 400);
    });
  }

  function start() {
    const holders = [...document.querySelectorAll(".live-chart")];
    for (const holder of holders) {
      holder.dataset.spec = holder.querySelector("script").textContent;
      holder.insertAdjacentHTML("beforeend", '<div class="live-chart-view"></div>');
      draw(holder);
    }
    new MutationObserver(() => holders.forEach(draw)).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
