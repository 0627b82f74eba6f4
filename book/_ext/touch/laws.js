// QiD by every law that the page carries; `helpers.show.touch.calculator` has the formula, a test compares the two.

// The QiD of one law, nats per token, for { n_params, tokens, group_size }.
export function qid(law, { n_params: n, tokens, group_size: group }, { loss, group_fitted: fitted }) {
  const millions = (n / 1e6) ** -law.nu;
  const plain = ((loss.N_c / n) ** loss.ratio + loss.D_c / tokens) ** loss.alpha_D;
  const logQ =
    law.c + law.beta * Math.log(Math.max(tokens - law.D0 * millions, 1e-300)) + law.a * Math.log(n) -
    law.lambda_ * plain - Math.log(1 + ((law.D1 * millions) / tokens) ** law.s);
  return (group / fitted) ** law.eta / (1 / Math.exp(logQ) + law.room);
}

// The tokens at which a law's QiD reaches `target`; Infinity where it never does, 0 where it is always beyond.
export function tokensAt(law, target, asked, data) {
  let [low, high] = data.searched.map(Math.log);
  const beyond = (log) => qid(law, { ...asked, tokens: Math.exp(log) }, data) > target;
  if (!beyond(high)) return Infinity;
  if (beyond(low)) return 0;
  for (let i = 0; i < 100; i += 1) {
    const middle = (low + high) / 2;
    if (beyond(middle)) high = middle;
    else low = middle;
  }
  return Math.exp((low + high) / 2);
}

const asShare = (value) => Math.min(Math.max(value, 0), 1);

const span = (values) => [Math.min(...values), Math.max(...values)];

// All answers about one model: { default, low, high } each, over the laws that don't fail on models of others.
export function answers(asked, data) {
  const target = Math.log(1 + asked.budget);
  const at = (bits) => data.laws.filter((law) => law.bits === bits);
  const every = (of, bits = asked.bits) => {
    const laws = at(bits);
    const [low, high] = span(laws.filter((law) => !law.fails).map(of));
    return { default: of(laws.find((law) => law.is_default)), low, high };
  };
  const costs = data.offered.bits.map((bits) => [bits, every((law) => qid(law, asked, data), bits)]);
  const fewest = (which) => costs.find(([, cost]) => cost[which] <= target)?.[0] ?? Infinity;
  const share = data.shares.find(({ budget }) => budget === asked.budget);
  return {
    qid: every((law) => qid(law, asked, data)),
    tokens: every((law) => tokensAt(law, target, asked, data)),
    bits: { default: fewest("default"), low: fewest("low"), high: fewest("high") },
    share: {
      own: asShare(share.intercept + share.size * Math.log(asked.n_params / 1e9) + share.tokens * Math.log(asked.tokens / 1e9)),
      printed: asShare((Math.log(asked.n_params / 1e9) - share.c) / share.k),
    },
    bytes: (asked.n_params * (asked.bits + (16 + asked.bits) / asked.group_size)) / 8,
    times: { n_params: asked.n_params / data.box.n_params[1], tokens: asked.tokens / data.box.tokens[1] },
  };
}

export const inside = ({ n_params: n, tokens }, { box }) => n >= box.n_params[0] && n <= box.n_params[1] && tokens >= box.tokens[0] && tokens <= box.tokens[1];
