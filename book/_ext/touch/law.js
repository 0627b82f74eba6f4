// A fitted law, asked inside what it was fitted to: QiD along tokens by bits, with the interval for a new training run.
import { amountControl, element, sentence, table } from "./controls.js";
import { predicted } from "./interval.js";
import { amountWords, percent, twoDigits } from "./numbers.js";
import { BITS_COLOURS, plot } from "./plot.js";

const STEPS = 40;

export function law(holder, data) {
  const state = { n_params: data.box.n_params[1], tokens: data.box.tokens[1] };
  const controls = element(holder, "div", { class: "touch-controls" });
  amountControl(controls, { label: "size N, parameters", ends: data.box.n_params, value: state.n_params, onInput: (n) => show({ n_params: n }) });
  amountControl(controls, { label: "training tokens D", ends: data.box.tokens, value: state.tokens, onInput: (tokens) => show({ tokens }) });
  const draw = plot(element(holder, "div", { class: "touch-plots" }), "Predicted QiD against training tokens by bits, each with a band: its interval for a new training run");
  const fill = table(holder, "Predicted QiD, nats per token", ["bits", "QiD", `${percent(data.level, 0)} interval, a new run`]);
  const say = sentence(holder);
  const [first, last] = data.box.tokens;
  const along = Array.from({ length: STEPS + 1 }, (_, i) => first * (last / first) ** (i / STEPS));

  function marks(bits) {
    const every = along.map((tokens) => [tokens, predicted({ ...state, tokens, bits }, data)]);
    const at = (end) => every.map(([tokens, answer]) => [tokens, answer[end]]);
    const colour = BITS_COLOURS[bits];
    return [
      { kind: "band", low: at("low"), high: at("high"), colour },
      { kind: "line", points: at("qid"), colour, name: `${bits} bits` },
      { kind: "dots", points: [[state.tokens, predicted({ ...state, bits }, data).qid]], colour, size: 5 },
    ];
  }

  function show(change) {
    Object.assign(state, change);
    const found = data.bits.map((bits) => ({ bits, ...predicted({ ...state, bits }, data) }));
    draw({
      height: 280,
      x: { domain: [first, 1.05 * last], log: true, ticks: [1e8, 3e8], read: amountWords, title: "tokens" },
      y: { domain: [1e-3, 5], log: true, ticks: [0.001, 0.01, 0.1, 1], read: String, title: `predicted QiD, nats per token, of ${amountWords(state.n_params)} parameters` },
      marks: [{ kind: "rule", at: state.tokens, colour: "var(--pst-color-text-muted)" }, ...data.bits.flatMap(marks)],
    });
    fill(found.map(({ bits, qid, low, high }) => [String(bits), twoDigits(qid), `${twoDigits(low)} to ${twoDigits(high)}`]));
    say(`${amountWords(state.n_params)} parameters after ${amountWords(state.tokens)} tokens: QiD ${found.map(({ bits, qid, low, high }) => `${twoDigits(qid)} at ${bits} bits, ${twoDigits(low)} to ${twoDigits(high)} for a new run`).join("; ")}. Nats per token.`);
    holder.dataset.values = JSON.stringify({ ...state, found });
  }

  show({});
}
