// Grids and GPTQ, as `grids.fit` and `gptq_solver.solve_plainly` of the package have them; a test compares the two.

// Ties go to the even number, as in torch.
export function roundEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

// The asymmetric grid from the least to the largest of some weights, zero included; that of [-1, 1] where all are zero.
export function fitGrid(weights, bits) {
  const maxCode = 2 ** bits - 1;
  let [low, high] = [Math.min(0, ...weights), Math.max(0, ...weights)];
  if (low === high) [low, high] = [-1, 1];
  const scale = (high - low) / maxCode;
  return { scale, zero: roundEven(-low / scale), maxCode };
}

export const encode = (weight, { scale, zero, maxCode }) => Math.min(Math.max(roundEven(weight / scale) + zero, 0), maxCode);

export const decode = (code, { scale, zero }) => scale * (code - zero);

// A row of weights rounded to nearest in groups of neighbours; a scale of 16 bits and a zero point are stored per group.
export function roundRow(weights, bits, groupSize) {
  const grids = weights.flatMap((_, i) => (i % groupSize ? [] : [fitGrid(weights.slice(i, i + groupSize), bits)]));
  const gridOf = (i) => grids[Math.floor(i / groupSize)];
  const codes = weights.map((weight, i) => encode(weight, gridOf(i)));
  const values = codes.map((code, i) => decode(code, gridOf(i)));
  const errors = weights.map((weight, i) => weight - values[i]);
  const squares = errors.reduce((sum, error) => sum + error * error, 0);
  return { grids, codes, values, errors, squares, storedBits: bits + (16 + bits) / groupSize };
}

// The upper Cholesky factor U of the inverse of a damped H: with H = R Rᵀ and R upper triangular, U is the inverse of R.
export function inverseFactor(hessian, damping) {
  const n = hessian.length;
  const mean = hessian.reduce((sum, row, i) => sum + row[i], 0) / n;
  const upper = hessian.map(() => Array(n).fill(0));
  for (let j = n - 1; j >= 0; j -= 1) {
    for (let i = j; i >= 0; i -= 1) {
      let rest = hessian[i][j] + (i === j ? damping * mean : 0);
      for (let k = j + 1; k < n; k += 1) rest -= upper[i][k] * upper[j][k];
      upper[i][j] = i === j ? Math.sqrt(rest) : rest / upper[j][j];
    }
  }
  const inverse = hessian.map(() => Array(n).fill(0));
  for (let j = 0; j < n; j += 1) {
    for (let i = j; i >= 0; i -= 1) {
      let rest = i === j ? 1 : 0;
      for (let k = i + 1; k <= j; k += 1) rest -= upper[i][k] * inverse[k][j];
      inverse[i][j] = rest / upper[i][i];
    }
  }
  return inverse;
}

// The share of the output's power that is lost when `rounded` stands in for `weights`.
export function outputLost(weights, rounded, hessian) {
  const power = (rows) => rows.reduce((sum, row) => sum + row.reduce((s, a, i) => s + row.reduce((t, b, j) => t + a * hessian[i][j] * b, 0), 0), 0);
  return power(weights.map((row, r) => row.map((weight, i) => weight - rounded[r][i]))) / power(weights);
}

// GPTQ one column at a time: what stands after 0, 1, ... columns, beside round-to-nearest of as many columns.
export function gptqSteps(weights, hessian, bits, damping) {
  const grids = weights.map((row) => fitGrid(row, bits));
  const nearest = weights.map((row, r) => row.map((weight) => decode(encode(weight, grids[r]), grids[r])));
  const factor = inverseFactor(hessian, damping);
  const steps = [{ weights, codes: weights.map(() => []), errors: [], moves: [], lost: 0, lostNearest: 0 }];
  for (let j = 0; j < hessian.length; j += 1) {
    const last = steps[j];
    const newCodes = last.weights.map((row, r) => encode(row[j], grids[r]));
    const errors = last.weights.map((row, r) => row[j] - decode(newCodes[r], grids[r]));
    const moves = errors.map((error) => factor[j].map((entry, i) => (i > j ? -(error / factor[j][j]) * entry : 0)));
    const now = last.weights.map((row, r) => row.map((weight, i) => (i === j ? decode(newCodes[r], grids[r]) : weight + moves[r][i])));
    const beside = weights.map((row, r) => row.map((weight, i) => (i <= j ? nearest[r][i] : weight)));
    steps.push({
      weights: now,
      codes: last.codes.map((codes, r) => [...codes, newCodes[r]]),
      errors,
      moves,
      lost: outputLost(weights, now, hessian),
      lostNearest: outputLost(weights, beside, hessian),
    });
  }
  return { grids, nearest, factor, steps };
}
