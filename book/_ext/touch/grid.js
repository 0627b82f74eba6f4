// A row of weights on its grids: each slider's knob is a weight, the lines under it are what it may become.
import { choice, drawing, element, newId, sentence } from "./controls.js";
import { fixed } from "./numbers.js";
import { decode, roundRow } from "./rounding.js";

const REACH = 1.35; // weights go from -1 to 1, and a grid's end lies at most half a step of 2/3 beyond
const LABELLED_FROM = 0.12; // grid step, from which on codes fit beside each other

const place = (value) => `${(50 * (value + REACH)) / REACH}%`;

export function grid(holder, data) {
  const state = { weights: [...data.weights], bits: data.bits, group: data.group_size };
  const controls = element(holder, "div", { class: "touch-controls" });
  choice(controls, { label: "bits a weight", options: data.bits_offered, value: state.bits, onInput: (bits) => show({ bits }) });
  choice(controls, { label: "weights a group", options: data.groups_offered, value: state.group, onInput: (group) => show({ group }) });
  const rows = state.weights.map((weight, i) => row(element(holder, "div", { class: "touch-row" }), i, weight));
  const say = sentence(holder);

  function row(around, index, weight) {
    const id = newId();
    element(around, "label", { for: id }, `weight ${index + 1}`);
    const track = element(around, "div", { class: "touch-track" });
    const svg = drawing(element(track, "div", { class: "touch-ticks" }), { "aria-hidden": "true" });
    const input = element(element(track, "div", { class: "touch-knob" }), "input", { type: "range", id, min: -1, max: 1, step: 0.01 });
    input.value = weight;
    input.addEventListener("input", () => {
      state.weights[index] = Number(input.value);
      show({ moved: index });
    });
    return { around, svg, input, output: element(around, "output", { for: id }) };
  }

  function show(change) {
    Object.assign(state, change);
    const done = roundRow(state.weights, state.bits, state.group);
    rows.forEach(({ around, svg, input, output }, i) => {
      const of = done.grids[Math.floor(i / state.group)];
      const points = Array.from({ length: of.maxCode + 1 }, (_, code) => code);
      const chosen = done.codes[i];
      svg.innerHTML =
        points.map((code) => `<line x1="${place(decode(code, of))}" x2="${place(decode(code, of))}" y1="0" y2="26" class="${code === chosen ? "touch-chosen" : ""}"/>`).join("") +
        (of.scale >= LABELLED_FROM ? points.map((code) => `<text x="${place(decode(code, of))}" y="39" class="${code === chosen ? "touch-chosen" : ""}">${code}</text>`).join("") : "") +
        `<line x1="${place(state.weights[i])}" x2="${place(done.values[i])}" y1="13" y2="13" class="touch-error"/>`;
      around.classList.toggle("touch-first", i % state.group === 0);
      output.textContent = `${fixed(state.weights[i], 2)} → code ${chosen} → ${fixed(done.values[i], 3)}`;
      input.setAttribute("aria-valuetext", `${fixed(state.weights[i], 2)}, code ${chosen}, stands for ${fixed(done.values[i], 3)}, off by ${fixed(done.errors[i], 3)}`);
    });
    const at = state.moved ?? 0;
    const mine = done.grids[Math.floor(at / state.group)];
    say(
      `${state.bits} bits, groups of ${state.group}. Weight ${at + 1} is ${fixed(state.weights[at], 2)}; its grid has the scale ${fixed(mine.scale, 3)} and the zero point ${mine.zero}. ` +
        `It gets code ${done.codes[at]} of 0 to ${mine.maxCode}, which stands for ${fixed(done.values[at], 3)}: off by ${fixed(done.errors[at], 3)}. ` +
        `Sum of squared errors of all ${state.weights.length}: ${fixed(done.squares, 4)}. Stored bits a weight, scale and zero point included: ${fixed(done.storedBits, 2)}.`,
    );
    holder.dataset.values = JSON.stringify(done);
  }

  show({});
}
