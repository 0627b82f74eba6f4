// Numbers as people write and read them: 7B, 15T, 0.45, a true minus sign.

const SUFFIXES = { k: 1e3, M: 1e6, B: 1e9, T: 1e12 };

// "7B" -> 7e9, "1.5e12" -> 1.5e12; NaN for what is no amount above zero.
export function amount(words) {
  const [, digits, suffix] = /^([\d.]+(?:e\d+)?)\s*([kMBTmbtKG]?)$/.exec(words.trim()) ?? [];
  const unit = suffix === "G" ? 1e9 : (SUFFIXES[suffix] ?? SUFFIXES[suffix?.toUpperCase()] ?? SUFFIXES[suffix?.toLowerCase()] ?? 1);
  const value = Number(digits) * unit;
  return value > 0 ? value : NaN;
}

// 7e9 -> "7B", 15e12 -> "15T", 134515008 -> "135M", of three digits.
export function amountWords(value) {
  if (!Number.isFinite(value)) return "none";
  const shown = Number(value.toPrecision(3));
  const [suffix, unit] = Object.entries(SUFFIXES).findLast(([, size]) => shown >= size) ?? ["", 1];
  return shown / unit < 1e4 ? `${Number((shown / unit).toPrecision(3))}${suffix}` : shown.toExponential().replace("e+", "e");
}

export const fixed = (value, digits) => value.toFixed(digits).replace(/^-(?=0(\.0*)?$)/, "").replace("-", "−");

export const twoDigits = (value) => (value === 0 || Math.abs(value) >= 1e-3 ? String(Number(value.toPrecision(2))) : value.toExponential(1)).replace("-", "−");

export const percent = (share, digits = 1) => `${fixed(100 * share, digits)}%`;
