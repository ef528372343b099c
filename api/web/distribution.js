// What temperature, top-k and top-p make of one token's distribution, from its most probable candidates alone.
//
// With logits l and Z = exp(logsumexp), p = exp(l) / Z. At temperature T a candidate weighs p^(1/T). Of the tokens that are
// not listed only their sum is known; where the temperature is not 1, their weight is estimated by a power law
// p(r) = p_n (r / n)^-s that goes on where the list of n ends and has their sum.
const VOCABULARY = 50_000; // ranks at most: only how far the estimate reaches

// ∫ (r / n)^-a dr from n to `last`: how many times the weight at rank n stands behind it.
const reach = (a, n, last) => (Math.abs(a - 1) < 1e-9 ? n * Math.log(last / n) : (n * ((last / n) ** (1 - a) - 1)) / (1 - a));

// The weight of the ranks n + 1 … last, in units of the best candidate's weight.
function tailWeight(listed, tail, temperature, last) {
  const n = listed.length;
  if (!n || tail <= 1e-12 || last <= n) return 0;
  const lowest = listed[n - 1];
  const whole = Math.max(VOCABULARY, n + 1);
  const s = 1 + (Math.exp(lowest) * n) / tail;
  const exact = tail / (Math.exp(lowest) * reach(s, n, whole)); // so that at T = 1 it is what was measured
  return exact * Math.exp((lowest - listed[0]) / temperature) * reach(s / temperature, n, Math.min(last, whole));
}

// Order as in the decoder: temperature, top-k (ties with the last stay), top-p (the smallest set that has the mass), draw.
export function reshape({ alternatives, logsumexp, tail_probability: tail }, { temperature, topK, topP }) {
  const listed = alternatives.map((item) => (item.logit === null ? -Infinity : item.logit - logsumexp));
  const before = alternatives.map((item) => item.probability);
  if (!listed.length) return { after: [], tail, estimated: false };
  if (temperature === 0) {
    const best = listed.indexOf(Math.max(...listed));
    return { after: before.map((_, index) => Number(index === best)), tail: 0, estimated: false };
  }
  if (temperature === 1 && !topK && topP >= 1) return { after: before, tail, estimated: false };
  let weights = listed.map((value) => Math.exp((value - listed[0]) / temperature));
  let rest = tailWeight(listed, tail, temperature, topK || Infinity);
  if (topK && topK < weights.length) weights = weights.map((weight) => (weight >= weights[topK - 1] ? weight : 0));
  const estimated = rest > 1e-9 && temperature !== 1;
  const target = topP * (weights.reduce((sum, weight) => sum + weight, 0) + rest);
  if (topP < 1) {
    let mass = 0;
    weights = weights.map((weight) => {
      const kept = mass < target * (1 - 1e-12) ? weight : 0;
      mass += weight;
      return kept;
    });
    weights[0] = 1; // the most probable token always stays
    rest = Math.max(0, Math.min(rest, target - mass));
  }
  const sum = weights.reduce((total, weight) => total + weight, 0) + rest;
  return { after: weights.map((weight) => weight / sum), tail: rest / sum, estimated };
}
