// GPTQ one column at a time on a small matrix, beside round-to-nearest.
import { button, choice, element, sentence, slider, table } from "./controls.js";
import { fixed, percent } from "./numbers.js";
import { gptqSteps } from "./rounding.js";

export function gptq(holder, data) {
  const n = data.hessian.length;
  const state = { step: 0, bits: data.bits };
  const controls = element(holder, "div", { class: "touch-controls" });
  choice(controls, { label: "bits a weight", options: data.bits_offered, value: state.bits, onInput: (bits) => show({ bits }) });
  const steps = slider(controls, { label: "columns rounded", min: 0, max: n, step: 1, value: 0, read: (step) => `${step} of ${n}`, onInput: (step) => show({ step }) });
  const back = button(controls, "Back", () => go(-1));
  const next = button(controls, "Next column", () => go(1));
  const fill = table(holder, "The matrix now. ▪: rounded, with its code. Below the others: what the last column's error moved them by.", ["row", ...data.hessian.map((_, i) => `weight ${i + 1}`), "error"]);
  const say = sentence(holder);

  function go(by) {
    steps.set(state.step + by);
    show({ step: state.step + by });
  }

  function cell(now, row, i) {
    if (i < state.step) return { text: `▪ ${fixed(now.weights[row][i], 2)}\ncode ${now.codes[row][i]}`, mark: "touch-rounded" };
    const move = now.moves[row]?.[i] ?? 0;
    return move ? { text: `${fixed(now.weights[row][i], 3)}\n${move > 0 ? "+" : ""}${fixed(move, 3)}`, mark: "touch-moved" } : fixed(now.weights[row][i], 3);
  }

  function show(change) {
    Object.assign(state, change);
    const done = gptqSteps(data.weights, data.hessian, state.bits, data.damping);
    const now = done.steps[state.step];
    fill(now.weights.map((weights, row) => [String(row + 1), ...weights.map((_, i) => cell(now, row, i)), state.step ? fixed(now.errors[row], 3) : "none"]));
    const used = document.activeElement;
    back.disabled = state.step === 0;
    next.disabled = state.step === n;
    if (used === next && next.disabled) back.focus(); // a button that can't be used drops the keyboard's place
    if (used === back && back.disabled) next.focus();
    say(words(now));
    holder.dataset.values = JSON.stringify(now);
  }

  function words(now) {
    if (!state.step) return `${state.bits} bits. No column is rounded yet; nothing of the output is lost.`;
    const left = n - state.step;
    const later = ["with no column left to take them", `handed on to column ${n}`][left] ?? `handed on to columns ${state.step + 1} ${left === 2 ? "and" : "to"} ${n}`;
    const codes = now.codes.map((row) => row[state.step - 1]).join(", ");
    const errors = now.errors.map((error) => fixed(error, 3)).join(", ");
    return (
      `${state.bits} bits, ${state.step} of ${n} columns rounded. Column ${state.step} got the codes ${codes}; its errors ${errors} are ${later}. ` +
      `Of the output's power ${percent(now.lost)} is lost so far; round-to-nearest of as many columns loses ${percent(now.lostNearest)}.`
    );
  }

  show({});
}
