// What rounding costs a model that the reader describes: a plot, a table of answers, a sentence, and a link to the setting.
import { amountControl, choice, element, list, sentence, table } from "./controls.js";
import { amount, amountWords, fixed, percent, twoDigits } from "./numbers.js";
import { answers, inside, qid } from "./laws.js";
import { plot } from "./plot.js";

const ENDS = { n_params: [1e5, 1e12], tokens: [1e8, 1e14] };
const SHORT = { n_params: "N", tokens: "D", bits: "bits", group_size: "group", budget: "budget" }; // names in a link
const LIKE = 3; // a measured model is drawn where its size is at most so many times the one asked for, or times less
const POINTS = 61;
const NOTE =
  "Red: beyond the sizes or tokens that the default law was fitted to. All laws: those that don't fail on models of others. " +
  "* With inputs rounded too, in MXINT-4, matrix by matrix: this book's law of size and tokens, then the law of size that Cao et al. (2024, arXiv 2410.06722) printed for Qwen-1.5.";
const MARK = "#calculator?";

// "#calculator?N=7B&D=15T" -> what of it is a setting that the page offers.
export function fromLink(hash, offered) {
  if (!hash.startsWith(MARK)) return {};
  const words = new URLSearchParams(hash.slice(MARK.length));
  const said = Object.entries(SHORT).map(([name, short]) => [name, amount(words.get(short) ?? "")]);
  return Object.fromEntries(said.filter(([name, value]) => (ENDS[name] ? value >= ENDS[name][0] && value <= ENDS[name][1] : offered[name].includes(value))));
}

export const toLink = (state) => MARK + Object.entries(SHORT).map(([name, short]) => `${short}=${state[name]}`).join("&");

export function calculator(holder, data) {
  const state = { ...data.start, ...fromLink(location.hash, data.offered) };
  const controls = element(holder, "div", { class: "touch-controls" });
  const own = { name: "a model of my own" };
  const models = [own, ...data.presets];
  const preset = list(controls, { label: "start from", options: models, value: own, read: ({ name }) => name, onInput: ({ n_params: n = state.n_params, tokens = state.tokens }) => { set({ n_params: n, tokens }); } });
  const moved = {
    n_params: amountControl(controls, { label: "size N, parameters", ends: ENDS.n_params, value: state.n_params, onInput: (n) => show({ n_params: n }) }),
    tokens: amountControl(controls, { label: "training tokens D", ends: ENDS.tokens, value: state.tokens, onInput: (tokens) => show({ tokens }) }),
    bits: choice(controls, { label: "bits a weight", options: data.offered.bits, value: state.bits, onInput: (bits) => show({ bits }) }),
    group_size: choice(controls, { label: "weights a group", options: data.offered.group_size, value: state.group_size, onInput: (group) => show({ group_size: group }) }),
    budget: choice(controls, { label: "perplexity may rise by", options: data.offered.budget, value: state.budget, read: (share) => percent(share, 0), onInput: (budget) => show({ budget }) }),
  };
  const source = element(holder, "p", { class: "touch-note" });
  const draw = plot(element(holder, "div", { class: "touch-plots" }), "QiD against training tokens: a band of all laws, the default law as a line, dashed and red beyond what it was fitted to, measured models of like size as dots");
  const fill = table(holder, "Answers", ["question", "default law", "all laws"]);
  element(holder, "p", { class: "touch-note" }, NOTE);
  const say = sentence(holder);
  const link = element(element(holder, "p", { class: "touch-note" }), "a", {}, "Link to this setting");

  function set(change) {
    for (const [name, value] of Object.entries(change)) moved[name].set(value);
    show(change);
  }

  function lines() {
    const laws = data.laws.filter(({ bits }) => bits === state.bits);
    const usual = laws.find((law) => law.is_default);
    const rows = Array.from({ length: POINTS }, (_, i) => {
      const asked = { ...state, tokens: ENDS.tokens[0] * (ENDS.tokens[1] / ENDS.tokens[0]) ** (i / (POINTS - 1)) };
      const every = laws.filter((law) => !law.fails).map((law) => qid(law, asked, data));
      return { tokens: asked.tokens, fits: inside(asked, data), usual: qid(usual, asked, data), low: Math.min(...every), high: Math.max(...every) };
    });
    const like = data.measured.filter(([n, , bits]) => bits === state.bits && Math.abs(Math.log(n / state.n_params)) <= Math.log(LIKE));
    const line = (part) => part.map((row) => [row.tokens, row.usual]);
    const beyond = rows.findIndex((row, i) => i && rows[i - 1].fits && !row.fits);
    const fitted = rows.filter((row) => row.fits);
    return [
      { kind: "band", low: rows.map((row) => [row.tokens, row.low]), high: rows.map((row) => [row.tokens, row.high]), colour: "var(--touch-16)" },
      { kind: "dots", points: like.map(([, tokens, , value]) => [tokens, value]), colour: "var(--touch-dot)" },
      { kind: "line", points: line(beyond > 0 ? rows.slice(beyond - 1) : rows), colour: "var(--touch-outside)", dash: "5 3", name: "default" },
      { kind: "line", points: line(fitted), colour: "var(--touch-3)" },
      { kind: "rule", at: state.tokens, colour: "var(--pst-color-text-base)" },
      { kind: "dots", points: [[state.tokens, qid(usual, state, data)]], colour: inside(state, data) ? "var(--touch-3)" : "var(--touch-outside)", size: 5 },
    ];
  }

  function show(change) {
    Object.assign(state, change);
    const found = answers(state, data);
    const chosen = data.presets.find(({ n_params: n, tokens }) => n === state.n_params && tokens === state.tokens);
    preset.set(chosen ?? own);
    source.textContent = chosen ? `${chosen.name}: ${amountWords(chosen.n_params)} parameters without embedding and head, ${amountWords(chosen.tokens)} tokens (${chosen.source}).` : "";
    draw({
      height: 300,
      x: { domain: ENDS.tokens, log: true, ticks: [1e8, 1e10, 1e12], read: amountWords, title: "tokens" },
      y: { domain: [1e-3, 5], log: true, ticks: [0.001, 0.01, 0.1, 1], read: String, title: `QiD, nats per token, of ${amountWords(state.n_params)} parameters at ${state.bits} bits` },
      marks: lines(),
    });
    fill(cells(found));
    say(words(found));
    link.setAttribute("href", toLink(state));
    holder.dataset.values = JSON.stringify({ ...found, asked: state }, (_, value) => (value === Infinity ? "Infinity" : value));
  }

  const times = (nats) => (nats > 5 ? "over 100" : fixed(Math.exp(nats), nats < 1 ? 3 : 1));
  const span = (low, high) => (low === high ? low : `${low} to ${high}`);
  const widths = ({ low, high }) => (high === Infinity && low === Math.max(...data.offered.bits) ? `${low} or more` : span(width(low), width(high)));
  const until = (tokens) => (tokens === Infinity ? "never" : tokens === 0 ? "at once" : amountWords(tokens));
  const width = (bits) => (bits === Infinity ? `more than ${Math.max(...data.offered.bits)}` : String(bits));

  function cells({ qid: cost, tokens, bits, share, bytes }) {
    const may = `perplexity × ${fixed(1 + state.budget, 2)}`;
    const mark = inside(state, data) ? "" : "touch-beyond";
    const usual = (text) => (mark ? { text, mark } : text);
    return [
      ["perplexity ×", usual(times(cost.default)), span(times(cost.low), times(cost.high))],
      ["QiD, nats per token", usual(twoDigits(cost.default)), span(twoDigits(cost.low), twoDigits(cost.high))],
      [`tokens until ${may}`, usual(until(tokens.default)), span(until(tokens.low), until(tokens.high))],
      [`fewest bits for ${may}`, usual(width(bits.default)), widths(bits)],
      [`share to keep in 16 bits for ${may}*`, usual(percent(share.own, 0)), `${percent(share.printed, 0)}, printed`],
      ["rounded weights, gigabytes", bytes > 1e8 ? fixed(bytes / 1e9, 2) : twoDigits(bytes / 1e9), ""],
    ];
  }

  function words({ qid: cost, tokens, bits, share, times: over }) {
    const far = [[over.n_params, "size"], [over.tokens, "tokens"]].filter(([factor]) => factor > 1).map(([factor, what]) => `${amountWords(factor)} times the largest ${what === "size" ? "size" : "number of tokens"}`);
    return (
      `${amountWords(state.n_params)} parameters, ${amountWords(state.tokens)} tokens, ${state.bits} bits in groups of ${state.group_size}. ` +
      `Perplexity times ${times(cost.default)} by the default law, ${span(times(cost.low), times(cost.high))} by all laws. ` +
      `It has risen by ${percent(state.budget, 0)} after ${until(tokens.default)} tokens by the default law; that budget takes ${width(bits.default)} bits, ${widths(bits)} by all laws. ` +
      `With inputs rounded too, ${percent(share.own, 0)} of the weights would have to stay in 16 bits by this book's law, ${percent(share.printed, 0)} by a printed one. ` +
      (far.length ? `Outside what was fitted: ${far.join(" and ")}.` : inside(state, data) ? "Within the sizes and tokens that were fitted." : "Below the sizes or tokens that were fitted.")
    );
  }

  addEventListener("hashchange", () => set(fromLink(location.hash, data.offered)));
  show({});
  if (location.hash.startsWith(MARK)) holder.scrollIntoView();
}
