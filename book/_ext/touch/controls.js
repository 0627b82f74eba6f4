// What readers move, and the sentence that says what came of it. Every control is the browser's own, so that keys and
// screen readers know it.

import { amount, amountWords } from "./numbers.js";

const REST_MS = 400; // a sentence is read out when the reader has come to rest
let made = 0;

export function element(holder, tag, attributes = {}, text = "") {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  holder.append(node);
  return node;
}

export const newId = () => `touch-${(made += 1)}`;

// A slider: `read` says its value in words, on the page and to a screen reader.
export function slider(holder, { label, min, max, step, value, read = String, onInput }) {
  const id = newId();
  const row = element(holder, "div", { class: "touch-control" });
  element(row, "label", { for: id }, label);
  const input = element(row, "input", { type: "range", id, min, max, step });
  const output = element(row, "output", { for: id });
  input.value = value;
  const show = () => {
    output.textContent = read(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  show();
  input.addEventListener("input", () => {
    show();
    onInput(Number(input.value));
  });
  return { input, set: (next) => { input.value = next; show(); } };
}

// A count to be typed as people write it, 7B or 1.5e12, or moved along a slider of its logarithm.
export function amountControl(holder, { label, ends, value, onInput }) {
  const row = element(holder, "div", { class: "touch-control" });
  const ids = [newId(), newId(), newId()];
  element(row, "label", { for: ids[0] }, label);
  const typed = element(row, "input", { type: "text", id: ids[0], inputmode: "text", spellcheck: "false", autocomplete: "off" });
  const [min, max] = ends.map(Math.log10);
  const moved = element(row, "input", { type: "range", id: ids[1], min, max, step: (max - min) / 200, "aria-label": `${label}, slider` });
  const wrong = element(row, "p", { id: ids[2], class: "touch-wrong", role: "alert" }); // empty until something is wrong
  const tell = (words) => {
    wrong.textContent = words;
    if (words) {
      typed.setAttribute("aria-invalid", "true");
      typed.setAttribute("aria-describedby", ids[2]);
    } else ["aria-invalid", "aria-describedby"].forEach((name) => typed.removeAttribute(name));
  };
  const set = (next) => {
    typed.value = amountWords(next);
    tell("");
    moved.value = Math.log10(next);
    moved.setAttribute("aria-valuetext", amountWords(next));
  };
  set(value);
  moved.addEventListener("input", () => {
    const next = Math.min(Math.max(10 ** Number(moved.value), ends[0]), ends[1]); // powers of logarithms miss the ends by a bit
    set(next);
    onInput(next);
  });
  typed.addEventListener("change", () => {
    const next = amount(typed.value);
    if (!(next >= ends[0] && next <= ends[1])) {
      tell(`accepted: ${amountWords(ends[0])} to ${amountWords(ends[1])}, such as 7B or 1.5e12`);
      return;
    }
    set(next);
    onInput(next);
  });
  return { set };
}

// One of a few values, as radio buttons under a legend.
export function choice(holder, { label, options, value, read = String, onInput }) {
  const set = element(holder, "fieldset", { class: "touch-choice" });
  const name = newId();
  element(set, "legend", {}, label);
  const inputs = options.map((option) => {
    const around = element(set, "label");
    const input = element(around, "input", { type: "radio", name });
    input.checked = option === value;
    input.addEventListener("change", () => onInput(option));
    around.append(` ${read(option)}`);
    return input;
  });
  return { set: (next) => inputs.forEach((input, i) => { input.checked = options[i] === next; }) };
}

// One of several, from a list that opens.
export function list(holder, { label, options, value, read = String, onInput }) {
  const id = newId();
  const row = element(holder, "div", { class: "touch-control" });
  element(row, "label", { for: id }, label);
  const select = element(row, "select", { id });
  options.forEach((option, i) => element(select, "option", { value: i }, read(option)));
  select.value = options.indexOf(value);
  select.addEventListener("change", () => onInput(options[select.value]));
  return { set: (next) => { select.value = options.indexOf(next); } };
}

export function button(holder, label, onClick) {
  const node = element(holder, "button", { type: "button" }, label);
  node.addEventListener("click", onClick);
  return node;
}

// A live sentence; the first is there at once.
export function sentence(holder) {
  const words = element(holder, "p", { class: "touch-said", "aria-live": "polite" });
  let waiting;
  return (text) => {
    clearTimeout(waiting);
    if (!words.textContent) words.textContent = text;
    else waiting = setTimeout(() => { words.textContent = text; }, REST_MS);
  };
}

// A table of text; `rows` are of cells, the first of each a header. Cells that are {text, mark} get a class.
export function table(holder, caption, columns) {
  const box = element(holder, "div", { class: "touch-table" });
  const node = element(box, "table");
  element(node, "caption", {}, caption);
  const head = element(element(node, "thead"), "tr");
  for (const column of columns) element(head, "th", { scope: "col" }, column);
  const body = element(node, "tbody");
  return (rows) => {
    body.replaceChildren();
    for (const [first, ...cells] of rows) {
      const row = element(body, "tr");
      element(row, "th", { scope: "row" }, first);
      for (const cell of cells) element(row, "td", cell.mark ? { class: cell.mark } : {}, cell.text ?? cell);
    }
  };
}

export function drawing(holder, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  holder.append(node);
  return node;
}
