// A fitted law's QiD and its interval for a new training run; `helpers.show.touch.law` has the formula.

const SCALES = { log: Math.log, linear: Number, steps: (bits) => Math.log(2 ** (bits - 1) - 1) };

export function predicted(asked, { coefficients, columns, covariance, tau, quantile }) {
  const x = columns.map((terms) => (terms.length ? terms.reduce((sum, { variable, scale: on, sign }) => sum + sign * SCALES[on](asked[variable]), 0) : 1));
  const qid = Math.exp(x.reduce((sum, value, i) => sum + value * coefficients[i], 0));
  const variance = covariance.reduce((sum, row, i) => sum + row.reduce((part, value, j) => part + value * x[i] * x[j], 0), 0);
  const reach = quantile * Math.sqrt(variance + tau * tau);
  return { qid, low: Math.max(0, qid * (1 - reach)), high: qid * (1 + reach) };
}
