// Puts what `helpers.show.touch` left on a page to life: each <div class="touch"> names its kind and carries its data.
import { calculator } from "./calculator.js";
import { gptq } from "./gptq.js";
import { grid } from "./grid.js";
import { law } from "./law.js";
import { training } from "./training.js";

const KINDS = { calculator, grid, gptq, law, training };

function start() {
  for (const holder of document.querySelectorAll(".touch")) {
    const data = JSON.parse(holder.querySelector("script").textContent);
    holder.querySelector(".touch-plain").remove();
    KINDS[holder.dataset.kind](holder, data);
  }
}

if (typeof document !== "undefined") {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
}
