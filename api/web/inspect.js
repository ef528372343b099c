// Look inside: the tokens of an answer or of a prompt, colored by probability, and the distribution behind each.
import { getJson, postJson } from "/static/api.js";
import { reshape } from "/static/distribution.js";
import { button, count, element, icon, isolated } from "/static/element.js";

const ALTERNATIVES = 40;
const SHOWN = 12;
const LEVELS = [0.9, 0.6, 0.3, 0.1]; // from sure to surprising: level 0 … 4
const NEUTRAL = { temperature: 1, topK: 0, topP: 1 };
const SLIDERS = [
  ["temperature", "Temperature", 0, 2, 0.05, (value) => (value === 0 ? "0, always the best" : value.toFixed(2))],
  ["topK", "Top-k", 0, ALTERNATIVES, 1, (value) => (value ? String(value) : "off")],
  ["topP", "Top-p", 0.05, 1, 0.01, (value) => (value < 1 ? value.toFixed(2) : "off")],
];
const form = document.getElementById("inspect-form");
const message = document.getElementById("inspect-message");
const place = document.getElementById("inspected");
let settings = { ...NEUTRAL };
let found = null;
let chosen = 0;
let shown = null; // the answer id that is on view
let control = null;

const share = (value) => `${(value * 100).toFixed(value > 0 && value < 0.0995 ? 1 : 0)} %`;
// Spaces and line ends as a person can see them.
const visible = (text) => (text === "" ? "∅" : text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/^ | $/g, "␣"));
const level = (value) => { const at = LEVELS.findIndex((least) => value >= least); return at < 0 ? LEVELS.length : at; };

function probabilityOf(token) {
  const index = token.alternatives.findIndex((item) => item.token_id === token.token_id);
  if (index < 0) return settings.temperature === 1 && !settings.topK && settings.topP === 1 ? token.probability : 0;
  return reshape(token, settings).after[index];
}

function paint() {
  found.tokens.forEach((token, index) => {
    const node = document.getElementById(`token-${index}`);
    const value = probabilityOf(token);
    node.dataset.level = level(value);
    node.querySelector("small").textContent = share(value);
    node.setAttribute("aria-label", `${visible(token.text)}, ${share(value)}`);
    node.setAttribute("aria-pressed", String(index === chosen));
    node.tabIndex = index === chosen ? 0 : -1;
  });
}

function bar(label, before, after, { own = false, estimated = false } = {}) {
  const track = element("span", { className: "track", "aria-hidden": "true" }, element("i", { className: "before" }), element("i", { className: "after" }));
  track.children[0].style.width = `${before * 100}%`;
  track.children[1].style.width = `${after * 100}%`;
  return element("tr", { className: `${own ? "own" : ""}${after === 0 && before > 0 ? " out" : ""}` },
    element("th", { scope: "row" }, element("code", { textContent: label, dir: "auto" }), own ? element("span", { className: "tag cited", textContent: "written" }) : null),
    element("td", { className: "bars" }, track),
    element("td", { textContent: share(before) }), element("td", { textContent: `${estimated ? "≈ " : ""}${share(after)}` }));
}

function distribution() {
  const token = found.tokens[chosen];
  const { after, tail, estimated } = reshape(token, settings);
  const rows = token.alternatives.slice(0, SHOWN).map((item, index) => bar(visible(item.text), item.probability, after[index], { own: item.token_id === token.token_id, estimated }));
  const own = token.alternatives.findIndex((item) => item.token_id === token.token_id);
  if (own >= SHOWN) rows.push(bar(visible(token.text), token.probability, after[own], { own: true, estimated }));
  if (own < 0) rows.push(bar(visible(token.text), token.probability, probabilityOf(token), { own: true }));
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const others = [...token.alternatives.keys()].filter((index) => index >= SHOWN && index !== own);
  const before = sum(others.map((index) => token.alternatives[index].probability)) + token.tail_probability - (own < 0 ? token.probability : 0);
  rows.push(bar("everything else", Math.max(0, before), Math.max(0, sum(others.map((index) => after[index])) + tail - (own < 0 ? probabilityOf(token) : 0)), { estimated }));
  const n_kept = after.filter((value) => value > 0).length;
  const facts = [`Token ${chosen + 1} of ${found.tokens.length}`, `entropy ${(token.entropy / Math.LN2).toFixed(2)} bits`,
    tail > 1e-9 ? `more than ${count(n_kept, "candidate")} left` : `${count(n_kept, "candidate")} left`];
  return [
    element("h3", {}, chosen ? ["After “", element("code", { textContent: found.tokens.slice(Math.max(0, chosen - 4), chosen).map((item) => item.text).join("").trimStart(), dir: "auto" }), "”"] : "After the prompt"),
    element("p", { className: "meta", textContent: `${facts.join(" · ")}${estimated ? " · ≈ the share of unlisted tokens is estimated at this temperature" : ""}` }),
    element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Candidates" }, element("table", { className: "candidates" },
      element("thead", {}, element("tr", {}, element("th", { scope: "col", textContent: "Candidate" }), element("th", { scope: "col" }, element("span", { className: "sr", textContent: "Bars" })),
        element("th", { scope: "col", textContent: "Model" }), element("th", { scope: "col", textContent: "Reshaped" }))),
      element("tbody", {}, rows))),
  ];
}

function refresh() {
  paint();
  place.querySelector("#distribution").replaceChildren(...distribution());
}

function choose(index, { focus = false } = {}) {
  chosen = Math.min(Math.max(index, 0), found.tokens.length - 1);
  refresh();
  if (focus) document.getElementById(`token-${chosen}`).focus();
}

function sliders() {
  const controls = SLIDERS.map(([name, label, min, max, step, words]) => {
    const output = element("output", { textContent: words(settings[name]) });
    const input = element("input", { type: "range", id: `slider-${name}`, min, max, step, value: settings[name] });
    input.addEventListener("input", () => { settings[name] = Number(input.value); output.textContent = words(settings[name]); refresh(); });
    return element("label", { htmlFor: input.id }, element("span", {}, label, output), input);
  });
  const reset = button("Reset", () => { settings = { ...NEUTRAL }; panel.replaceWith(sliders()); refresh(); });
  const panel = element("div", { className: "sliders card", role: "group", "aria-label": "Reshape the distribution" }, controls, reset);
  return panel;
}

function tokenStrip() {
  const strip = element("div", { className: "tokens", role: "group", "aria-label": "Tokens; the arrow keys go from one to the next" }, found.tokens.map((token, index) => {
    const node = element("button", { type: "button", className: "token", id: `token-${index}` }, element("span", { textContent: visible(token.text), dir: "auto" }), element("small"));
    node.addEventListener("click", () => choose(index));
    return node;
  }));
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    choose(chosen + step, { focus: true });
  });
  return strip;
}

function legend() {
  const names = ["90 % and more", "from 60 %", "from 30 %", "from 10 %", "less"];
  return element("p", { className: "legend meta" }, "Probability: ", names.map((name, index) => element("span", { className: "swatch", data: { level: index }, textContent: name })));
}

function promptTokens() {
  return element("details", { className: "card" }, element("summary", { textContent: `The prompt as the model read it: ${count(found.prompt.length, "token")}` }),
    element("p", { className: "prompt", dir: "auto", tabIndex: 0, role: "region", "aria-label": "The prompt" }, found.prompt.map((token) => element("span", { title: `token ${token.token_id}`, textContent: token.text.replace(/\n/g, "⏎\n") }))));
}

function render(title) {
  if (!found.tokens.length) {
    place.replaceChildren(element("p", { className: "note", textContent: "The model wrote nothing here." }), promptTokens());
    return;
  }
  chosen = Math.max(0, found.tokens.findIndex((token) => token.probability < LEVELS[1]));
  const cut = found.n_tokens > found.tokens.length ? element("p", { className: "note", textContent: `The first ${found.tokens.length} of ${found.n_tokens} tokens are shown.` }) : null;
  place.replaceChildren(...[title, legend(), tokenStrip(), cut, element("div", { className: "inspector" }, element("div", { id: "distribution", className: "card" }), sliders()), promptTokens(),
    element("p", { className: "meta costs", textContent: `${found.model.name} on ${found.model.device}` })].filter(Boolean));
  refresh();
}

async function look(body, title) {
  control?.abort();
  control = new AbortController();
  const { signal } = control;
  place.replaceChildren();
  message.textContent = "Reading along with the model …";
  try {
    const answer = await postJson("/v1/inspect", { alternatives: ALTERNATIVES, ...body }, { signal });
    found = answer;
    settings = { ...NEUTRAL };
    render(await title());
    message.textContent = "";
  } catch (error) {
    if (error.name === "AbortError") return;
    const missing = error.status === 405 || (error.status === 404 && !body.answer_id);
    message.textContent = missing ? "This service cannot look inside its model yet; update it." : error.message;
  }
}

async function answerTitle(id) {
  const answer = await getJson(`/v1/answers/${encodeURIComponent(id)}`);
  return element("p", { className: "about" }, element("a", { className: "quiet", href: `#/ask/${encodeURIComponent(id)}` }, icon("back"), "The answer"), element("strong", { textContent: answer.question, dir: "auto" }));
}

export function show([id]) {
  if (!id || id === shown) return;
  shown = id;
  look({ answer_id: id }, () => answerTitle(id));
}

export function start() {
  const prompt = document.getElementById("prompt");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = prompt.value;
    if (!text.trim()) { prompt.focus(); return; }
    shown = null;
    history.replaceState(null, "", "#/inspect");
    look({ prompt: text, steps: 24 }, async () => element("p", { className: "about" }, element("strong", { textContent: isolated(text), dir: "auto" })));
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
}
