// A new comparison: its cases (pasted, from a file, or drafted from the documents) and the ways of answering.
import { postJson } from "/static/api.js";
import { parseCases } from "/static/cases.js";
import { collection, onChange } from "/static/collections.js";
import { button, count, element } from "/static/element.js";

const SYSTEMS = [
  [{ name: "documents", mode: "grounded" }, "With the documents", "as on the Ask page", true],
  [{ name: "memory", mode: "closed_book" }, "From memory", "the model is shown nothing", true],
  [{ name: "strict", mode: "grounded", policy: "strict" }, "Strict", "only sentences that the documents support", false],
  [{ name: "given-passage", mode: "oracle" }, "Given the right passage", "needs cases that name one; tells reading from searching", false],
  [{ name: "words", mode: "grounded", retriever: "lexical" }, "Search by words", "", false],
  [{ name: "meaning", mode: "grounded", retriever: "dense" }, "Search by meaning", "", false],
];
const SHOWN = 200; // cases that can be edited one by one
const KEPT = "citebound-cases";

let cases = [];
let tell = () => {};

const keep = () => { try { sessionStorage.setItem(KEPT, JSON.stringify(cases)); } catch { /* too many to keep */ } };

function caseRow(item, changed) {
  const field = (label, value, set, className) => {
    const input = element("input", { value, "aria-label": label, dir: "auto", className });
    input.addEventListener("input", () => { set(input.value); if (item.drafted) item.drafted = false; keep(); });
    return input;
  };
  const answerable = element("input", { type: "checkbox", checked: item.answerable, "aria-label": `The documents answer: ${item.question}` });
  const answers = field("Right answers, with | between them", item.reference_answers.join(" | "), (text) => { item.reference_answers = text.split("|").map((part) => part.trim()).filter(Boolean); });
  answers.disabled = !item.answerable;
  answerable.addEventListener("change", () => {
    item.answerable = answerable.checked;
    if (!item.answerable) { item.reference_answers = []; answers.value = ""; }
    answers.disabled = !item.answerable;
    item.drafted = false;
    keep();
  });
  return element("tr", {},
    element("td", {}, field("Question", item.question, (text) => { item.question = text; })), element("td", {}, answers),
    element("td", { className: "middle" }, answerable),
    element("td", {}, button("Remove", () => { cases = cases.filter((other) => other !== item); changed(); }, { name: `Remove: ${item.question}` })));
}

function table(changed) {
  if (!cases.length) return [element("p", { className: "note", textContent: "No cases yet. Paste some, choose a file, or have some drafted from your documents and edit them." })];
  const rows = cases.slice(0, SHOWN).map((item) => caseRow(item, changed));
  return [
    element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Cases" }, element("table", { className: "cases" },
      element("thead", {}, element("tr", {}, ["Question", "Right answers", "In the documents", ""].map((name) => element("th", { scope: "col" }, name || element("span", { className: "sr", textContent: "Remove" }))))),
      element("tbody", {}, rows))),
    element("p", { className: "meta", textContent: cases.length > SHOWN ? `${count(cases.length, "case")}; the first ${SHOWN} are shown.` : count(cases.length, "case") }),
  ];
}

function systemBoxes() {
  return element("fieldset", { className: "systems" }, element("legend", { textContent: "Ways of answering" }), SYSTEMS.map(([system, label, hint, on]) =>
    element("label", { className: "check" }, element("input", { type: "checkbox", name: "system", value: system.name, checked: on }), element("span", {}, label, hint ? element("small", { textContent: hint }) : null))));
}

export function build(form, started, message) {
  tell = message;
  const list = element("div", { id: "cases" });
  const changed = () => { keep(); list.replaceChildren(...table(changed)); };
  const add = (text) => {
    const known = cases.map((item) => item.id);
    const more = parseCases(text, known);
    cases = [...cases, ...more];
    changed();
    tell(`${count(more.length, "case")} added.`);
  };
  const paste = element("textarea", { id: "paste", rows: 3, dir: "auto", placeholder: "How long is parental leave? = fourteen weeks\nWho is the safety officer?" });
  const file = element("input", { type: "file", id: "case-file", accept: ".json,.jsonl,.csv,.txt", hidden: true, "aria-label": "File with cases" });
  const n = element("input", { id: "draft-n", type: "number", min: 1, max: 200, value: 10 });
  const tried = (run) => async () => { try { await run(); } catch (error) { tell(error.message); } };
  file.addEventListener("change", tried(async () => { const [chosen] = file.files; if (chosen) add(await chosen.text()); file.value = ""; }));
  const draft = tried(async () => {
    tell("Drafting questions from the documents …");
    const answer = await postJson("/v1/comparisons/draft", { collection: collection(), n: Number(n.value) || 10 });
    add(JSON.stringify(answer.cases ?? answer.data ?? answer));
  });
  const name = element("input", { id: "compare-name", maxLength: 200, dir: "auto", value: "", placeholder: "Comparison" });
  const where = element("strong", { dir: "auto", textContent: collection() });
  onChange(() => { where.textContent = collection(); });
  form.replaceChildren(
    element("h3", { textContent: "New comparison" }),
    element("div", { className: "fields" }, element("label", { htmlFor: "compare-name" }, "Name ", name)),
    element("div", { className: "adders" },
      element("div", {}, element("label", { htmlFor: "paste", textContent: "Questions, one a line, with “= answer” where you know it; or JSON or CSV" }), paste,
        element("div", { className: "row" }, button("Add these", tried(async () => { if (paste.value.trim()) { add(paste.value); paste.value = ""; } }), { className: "second" }), button("Choose a file", () => file.click(), { className: "second" }), file)),
      element("div", {}, element("p", {}, "Or draft some from the documents in ", where, ", to edit them here."),
        element("div", { className: "row" }, element("label", { htmlFor: "draft-n" }, "How many ", n), button("Draft", draft, { className: "second" })))),
    list, systemBoxes(),
    element("div", { className: "row" }, element("button", { type: "submit", textContent: "Start the comparison" }), button("Clear the cases", () => { cases = []; changed(); })),
  );
  try { cases = JSON.parse(sessionStorage.getItem(KEPT)) ?? []; } catch { cases = []; }
  list.replaceChildren(...table(changed));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = new Set([...form.querySelectorAll("input[name=system]:checked")].map((box) => box.value));
    const systems = SYSTEMS.map(([system]) => system).filter((system) => wanted.has(system.name));
    if (!cases.length) { tell("Add at least one case first."); paste.focus(); return; }
    if (!systems.length) { tell("Choose at least one way of answering."); return; }
    tell("Starting …");
    await tried(async () => {
      const made = await postJson("/v1/comparisons", { name: name.value.trim() || "Comparison", collection: collection(), cases, systems, seed: 0 });
      cases = [];
      changed();
      tell("");
      started(made.comparison_id);
    })();
  });
}
