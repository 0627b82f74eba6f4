// A small plot in SVG, drawn as wide as it stands: axes, lines with their names at their ends, bands, dots, a rule.
import { drawing, element } from "./controls.js";

export const BITS_COLOURS = { 2: "var(--touch-2)", 3: "var(--touch-3)", 4: "var(--touch-4)", 16: "var(--touch-16)" };

const MARGIN = { left: 46, right: 56, top: 24, bottom: 24 };
const APART = 13; // lines of lettering
let clips = 0;

// The place of a value between two ends; null for what a logarithmic axis has no place for.
export function scale({ domain, log }, from, to) {
  const of = log ? Math.log : Number;
  const [low, high] = domain.map((end) => of(end));
  return (value) => (log && !(value > 0) ? null : from + ((of(value) - low) / (high - low)) * (to - from));
}

const tag = (name, attributes, text = "") =>
  `<${name} ${Object.entries(attributes).map(([key, value]) => `${key}="${value}"`).join(" ")}>${text}</${name}>`;

function placed(points, x, y) {
  return points.map(([across, up]) => [x(across), y(up)]).filter(([a, b]) => a !== null && b !== null);
}

const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");

const MARKS = {
  line: ({ points, colour, dash = "none" }, x, y) => tag("path", { d: path(placed(points, x, y)), fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash }),
  band: ({ low, high, colour }, x, y) => tag("path", { d: `${path([...placed(low, x, y), ...placed(high, x, y).reverse()])}Z`, fill: colour, "fill-opacity": 0.25 }),
  dots: ({ points, colour, size = 3.5 }, x, y) => placed(points, x, y).map(([a, b]) => tag("circle", { cx: a.toFixed(1), cy: b.toFixed(1), r: size, fill: colour })).join(""),
  rule: ({ at, colour }, x, y, { bottom }) => tag("line", { x1: x(at), x2: x(at), y1: MARGIN.top, y2: bottom, stroke: colour, "stroke-dasharray": "4 3" }),
};

function axes({ x, y }, across, up, right, bottom) {
  const below = x.ticks.map((tick) => tag("text", { x: across(tick), y: bottom + 16, "text-anchor": "middle" }, x.read(tick)));
  const beside = y.ticks.map((tick) => tag("text", { x: MARGIN.left - 6, y: up(tick) + 4, "text-anchor": "end" }, y.read(tick)));
  const lines = y.ticks.map((tick) => tag("line", { x1: MARGIN.left, x2: right, y1: up(tick), y2: up(tick), class: "touch-frame" }));
  const titles = [tag("text", { x: 2, y: 13 }, y.title), tag("text", { x: right + 4, y: bottom + 16 }, x.title)];
  return [...lines, ...below, ...beside, ...titles].join("");
}

// Names at the ends of lines, pushed apart where they would cover each other.
function names(marks, across, up, right, bottom) {
  const ends = marks.flatMap((mark) => {
    const end = mark.name && placed(mark.points, across, up).at(-1);
    return end ? [{ mark, at: Math.min(Math.max(end[1], MARGIN.top + 6), bottom) }] : [];
  }).sort((a, b) => a.at - b.at);
  ends.forEach((end, i) => { if (i) end.at = Math.max(end.at, ends[i - 1].at + APART); });
  ends.reverse().forEach((end, i) => { end.at = Math.min(end.at, i ? ends[i - 1].at - APART : bottom); });
  return ends.map(({ mark, at }) => tag("text", { x: right + 4, y: at + 4, style: `fill: ${mark.colour}` }, mark.name)).join("");
}

function paint(svg, spec) {
  const width = svg.clientWidth || 300;
  const [right, bottom] = [width - MARGIN.right, spec.height - MARGIN.bottom];
  const [across, up] = [scale(spec.x, MARGIN.left, right), scale(spec.y, bottom, MARGIN.top)];
  const clip = `touch-clip-${(clips += 1)}`;
  const inside = spec.marks.map((mark) => MARKS[mark.kind](mark, across, up, { bottom })).join("");
  svg.setAttribute("height", spec.height);
  svg.setAttribute("viewBox", `0 0 ${width} ${spec.height}`);
  svg.innerHTML =
    tag("clipPath", { id: clip }, tag("rect", { x: MARGIN.left, y: MARGIN.top, width: Math.max(right - MARGIN.left, 0), height: bottom - MARGIN.top })) +
    axes(spec, across, up, right, bottom) +
    tag("g", { "clip-path": `url(#${clip})` }, inside) +
    names(spec.marks, across, up, right, bottom);
}

export function plot(holder, label) {
  const svg = drawing(element(holder, "div"), { role: "img", "aria-label": label });
  let last;
  new ResizeObserver(() => last && paint(svg, last)).observe(svg);
  return (spec) => {
    last = spec;
    paint(svg, spec);
  };
}
