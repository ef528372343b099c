// Comparisons: the list of runs, and one run with its progress, its figures, and its report in a frame of its own.
import { call, download, getJson } from "/static/api.js";
import { build } from "/static/compare_form.js";
import { button, count, element, isolated, percent, say, seconds, sentence, sure } from "/static/element.js";
import { reportFrame } from "/static/report.js";

const WAIT = 1000; // milliseconds between two looks at a run that works
const GONE = "gone"; // what an action says that leaves nothing to look at
const WORDS = { queued: "waiting", running: "running", ready: "ready", failed: "failed", cancelled: "cancelled" };
const WORKING = ["queued", "running", "parsing", "embedding"];
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const message = document.getElementById("compare-message");
const runs = document.getElementById("runs");
let shown = null; // the run on view
let timer;

const tell = (text) => { message.textContent = text; };
const path = (id, rest = "") => `/v1/comparisons/${encodeURIComponent(id)}${rest}`;
const away = (error) => ([404, 405].includes(error.status) ? "This service does not compare yet; update it." : error.message);
const visible = () => !document.getElementById("compare").hidden;

function bar(run) {
  const left = run.seconds_left ? `, about ${seconds(run.seconds_left)} left` : "";
  return element("div", { className: "row working" }, element("progress", { max: 1, value: run.progress ?? 0, "aria-label": `Progress of ${run.name}` }), element("span", { className: "meta", textContent: `${percent(run.progress ?? 0)}${left}` }));
}

function stateOf(run) {
  return element("span", { className: `state ${run.status}`, textContent: WORDS[run.status] ?? run.status });
}

function acts(run, after) {
  const row = element("span", { className: "row actions" });
  const act = (label, work, className) => button(label, async () => {
    try {
      if (await work() !== GONE) after();
    } catch (error) { tell(error.message); }
  }, { name: `${label} ${run.name}`, className });
  if (WORKING.includes(run.status)) row.append(act("Cancel", () => call("POST", path(run.comparison_id, "/cancel")), "quiet"));
  else {
    if (["failed", "cancelled"].includes(run.status)) row.append(act("Resume", () => call("POST", path(run.comparison_id, "/resume")), "quiet"));
    row.append(act("Delete", async () => {
      if (!await sure(`Delete the comparison “${isolated(run.name)}” with its results?`)) return GONE;
      await call("DELETE", path(run.comparison_id));
      if (shown === run.comparison_id) location.hash = "#/compare";
      else list({ anew: true });
      say("Deleted.");
      return GONE;
    }, "quiet danger"));
  }
  return row;
}

function runRow(run) {
  return element("li", {}, element("div", { className: "run-head" },
    element("a", { href: `#/compare/${encodeURIComponent(run.comparison_id)}` }, element("bdi", { textContent: run.name })), stateOf(run),
    element("span", { className: "meta", textContent: [isolated(run.collection ?? ""), WHEN.format(new Date(run.created_at))].filter(Boolean).join(" · ") }), acts(run, list)),
  WORKING.includes(run.status) ? bar(run) : null,
  run.error ? element("p", { className: "bad", textContent: sentence(run.error.message) }) : null);
}

async function list({ anew = false } = {}) {
  clearTimeout(timer);
  if (shown !== null || !visible()) return;
  try {
    const { data } = await getJson("/v1/comparisons");
    if (shown !== null) return;
    if (anew || !runs.contains(document.activeElement)) runs.replaceChildren(...data.map(runRow));
    document.getElementById("no-runs").hidden = data.length > 0;
    if (data.some((run) => WORKING.includes(run.status))) timer = setTimeout(() => list(), WAIT);
  } catch (error) {
    tell(away(error));
  }
}

function files(run) {
  const get = (name) => button(name, () => download(path(run.comparison_id, `/${name}`), name).catch((error) => tell(error.message)), { symbol: "load" });
  return element("div", { className: "row actions" }, (run.status === "ready" ? ["report.html", "report.json", "results.jsonl"] : ["results.jsonl"]).map(get), acts(run, () => follow(run.comparison_id)));
}

async function follow(id) {
  clearTimeout(timer);
  const view = document.getElementById("run-view");
  let run;
  try {
    run = await getJson(path(id));
  } catch (error) {
    if (shown === id) { tell(error.status === 404 ? "There is no comparison under this address; it may have been deleted." : error.message); view.replaceChildren(); }
    return;
  }
  if (shown !== id) return;
  const head = [
    element("h3", { className: "run-title" }, element("bdi", { textContent: run.name }), " ", stateOf(run)),
    element("p", { className: "meta", textContent: [isolated(run.collection ?? ""), run.n_cases ? count(run.n_cases, "case") : null, WHEN.format(new Date(run.created_at))].filter(Boolean).join(" · ") }),
    run.redacted ? element("p", { className: "note", textContent: "A document behind this comparison was deleted; its words were taken out." }) : null,
    run.error ? element("p", { className: "bad", textContent: sentence(run.error.message) }) : null,
  ];
  if (WORKING.includes(run.status)) {
    view.replaceChildren(...[...head, bar(run), acts(run, () => follow(id))].filter(Boolean));
    if (visible()) timer = setTimeout(() => follow(id), WAIT);
    return;
  }
  view.replaceChildren(...[...head, files(run)].filter(Boolean));
  if (run.status !== "ready") return;
  let html = null;
  try { html = await (await call("GET", path(id, "/report.html"))).text(); } catch (error) { tell(error.message); }
  if (shown === id && html !== null) view.append(reportFrame(html, `Report of ${run.name}`));
}

export function show([id]) {
  if (id && id === shown) return;
  clearTimeout(timer);
  tell("");
  shown = id ?? null;
  document.getElementById("runs-view").hidden = shown !== null;
  document.getElementById("all-runs").hidden = shown === null;
  const view = document.getElementById("run-view");
  view.hidden = shown === null;
  view.replaceChildren();
  if (shown === null) list();
  else follow(shown);
}

export function start() {
  build(document.getElementById("compare-form"), (id) => { location.hash = `#/compare/${encodeURIComponent(id)}`; }, tell);
}
