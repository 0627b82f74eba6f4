// One training run, checkpoint by checkpoint: loss, QiD, and how far rounding to nearest moves the weights.
import { element, list, sentence, slider } from "./controls.js";
import { amountWords, fixed, percent, twoDigits } from "./numbers.js";
import { BITS_COLOURS, plot } from "./plot.js";

const HEIGHT = 230;

export function training(holder, { runs, widths, start }) {
  const state = { run: runs.find(({ name }) => name === start), at: 0 };
  state.at = state.run.tokens.length - 1;
  const controls = element(holder, "div", { class: "touch-controls" });
  list(controls, { label: "size N", options: runs, value: state.run, read: (run) => `${amountWords(run.n_params)} parameters`, onInput: (run) => show({ run }) });
  const last = state.run.tokens.length - 1;
  slider(controls, { label: "checkpoint", min: 0, max: last, step: 1, value: last, read: (at) => `${amountWords(state.run.tokens[at])} tokens`, onInput: (at) => show({ at }) });
  const plots = element(holder, "div", { class: "touch-plots" });
  const drawn = {
    loss: plot(plots, "Loss against training tokens, in 16 bits and after rounding"),
    qid: plot(plots, "QiD against training tokens by bits"),
    weights: plot(plots, "Root mean square of the weights and of their rounding errors against training tokens"),
  };
  const say = sentence(holder);
  const everyQid = runs.flatMap((run) => widths.flatMap((bits) => run.qid[bits])).filter((value) => value > 0);

  function show(change) {
    Object.assign(state, change);
    const { run, at } = state;
    const x = { domain: [run.tokens[0], 1.1 * run.tokens[last]], log: true, ticks: [1e7, 1e8], read: amountWords, title: "tokens" };
    const lines = (of, also = []) => [
      { kind: "rule", at: run.tokens[at], colour: "var(--pst-color-text-muted)" },
      ...also.map(([values, bits, name]) => ({ values, bits, name })).concat(widths.map((bits) => ({ values: of(bits), bits, name: `${bits} bits` }))).flatMap(({ values, bits, name }) => [
        { kind: "line", points: values.map((value, i) => [run.tokens[i], value]), colour: BITS_COLOURS[bits], name },
        { kind: "dots", points: [[run.tokens[at], values[at]]], colour: BITS_COLOURS[bits] },
      ]),
    ];
    drawn.loss({ height: HEIGHT, x, y: { domain: [1.2, 8], log: true, ticks: [2, 4, 8], read: String, title: "loss, nats per token" }, marks: lines((bits) => run.loss.map((loss, i) => loss + run.qid[bits][i]), [[run.loss, 16, "16 bits"]]) });
    drawn.qid({ height: HEIGHT, x, y: { domain: [Math.min(...everyQid), Math.max(...everyQid)], log: true, ticks: [0.001, 0.01, 0.1, 1], read: String, title: "QiD, nats per token" }, marks: lines((bits) => run.qid[bits]) });
    drawn.weights({ height: HEIGHT, x, y: { domain: [0.001, 0.1], log: true, ticks: [0.001, 0.01, 0.1], read: String, title: "weights and their rounding error, rms" }, marks: lines((bits) => run.rounding[bits].map((share, i) => share * run.rms[i]), [[run.rms, 16, "weights"]]) });
    say(words(run, at));
    holder.dataset.values = JSON.stringify({ n_params: run.n_params, tokens: run.tokens[at], loss: run.loss[at], rms: run.rms[at], qid: widths.map((bits) => run.qid[bits][at]), rounding: widths.map((bits) => run.rounding[bits][at]) });
  }

  function words(run, at) {
    const every = (of) => widths.map((bits) => `${of(bits)} at ${bits} bits`).join(", ");
    return (
      `${amountWords(run.n_params)} parameters after ${amountWords(run.tokens[at])} tokens, ${amountWords(run.tokens[at] / run.n_params)} a parameter. ` +
      `Loss in 16 bits: ${fixed(run.loss[at], 2)} nats per token. Rounding adds ${every((bits) => twoDigits(run.qid[bits][at]))}. ` +
      `The weights' root mean square is ${fixed(run.rms[at], 3)}; rounding to nearest moves them by ${every((bits) => percent(run.rounding[bits][at]))} of that.`
    );
  }

  show({});
}
