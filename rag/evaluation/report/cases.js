// The list of cases: chosen by the filters, built a batch at a time, so that thousands stay quick.
const BATCH = 20;

function startCases() {
  const data = JSON.parse(document.getElementById("case-data").textContent);
  const byId = (id) => document.getElementById(id);
  const form = byId("filters");
  const list = byId("list");
  const more = byId("more");
  const texts = new Map(); // what a case can be found by, made when it is first looked for
  let chosen = null; // a cell or slice picked in a table, beside the form
  let found = [];
  let shown = 0;

  const value = (id) => byId(id)?.value ?? "";
  const wordsOf = (index) => {
    if (!texts.has(index)) texts.set(index, searchable(data.cases[index]));
    return texts.get(index);
  };

  function matches(item, index, wanted) {
    if (wanted.class && (wanted.class === "yes") !== Boolean(item.answerable)) return false;
    if (wanted.document && item.document !== wanted.document) return false;
    if (wanted.transition) {
      const [place, name] = wanted.transition.split(" ");
      if (item.transitions[Number(place) + 1] !== name) return false;
    }
    if (chosen && !chosen.test(item)) return false;
    const answers = wanted.system === "" ? item.answers : [item.answers[Number(wanted.system)]];
    if ((wanted.outcome || wanted.verdict || wanted.cause) && !answers.some((answer) => answer && fits(answer, wanted))) return false;
    return wanted.text.every((word) => wordsOf(index).includes(word));
  }

  function show() {
    const wanted = { class: value("f-class"), document: value("f-document"), transition: value("f-transition"), system: value("f-system"), outcome: value("f-outcome"), verdict: value("f-verdict"), cause: value("f-cause"), text: value("f-text").toLowerCase().split(/\s+/).filter(Boolean) };
    found = data.cases.map((_, index) => index).filter((index) => matches(data.cases[index], index, wanted));
    shown = 0;
    list.replaceChildren();
    byId("chosen").hidden = !chosen;
    byId("chosen").replaceChildren();
    if (chosen) byId("chosen").append(`Only ${chosen.words}. `, element("button", { type: "button", className: "link", onclick: () => { pick(null); byId("f-text").focus(); } }, "Remove this choice"));
    for (const button of document.querySelectorAll(".cell")) button.setAttribute("aria-pressed", String(chosen?.button === button));
    add(BATCH);
  }

  function add(count) {
    const first = shown;
    const next = found.slice(shown, shown + count);
    list.append(...next.map((index) => caseCard(data.cases[index], index, data.systems)));
    shown += next.length;
    more.hidden = shown >= found.length;
    more.textContent = `Show ${Math.min(BATCH, found.length - shown)} more`;
    byId("shown").textContent = found.length
      ? `${counted(found.length, "case")} of ${data.cases.length.toLocaleString("en")}${shown < found.length ? `, the first ${shown} shown` : ""}`
      : "No case fits. Remove a filter to see more.";
    return list.children[first];
  }

  function pick(choice) {
    if (choice) form.reset();
    chosen = choice;
    show();
    if (choice) byId("cases").scrollIntoView();
  }

  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 120); });
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("all").addEventListener("click", () => { form.reset(); pick(null); });
  more.addEventListener("click", () => add(BATCH)?.querySelector("h3").focus());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-filter]");
    if (button) pick(choiceOf(button, data.systems));
    const link = event.target.closest("#list a[href^='#']");
    if (link) follow(event, link);
  });
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")].filter((block) => !list.contains(block));
    for (const block of opened) block.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const block of opened) block.open = false;
  });
  show();
}

// Goes to a quote without changing the address, which a page in a frame may not have.
function follow(event, link) {
  event.preventDefault();
  const target = document.getElementById(link.getAttribute("href").slice(1));
  for (let block = target.closest("details"); block; block = block.parentElement.closest("details")) block.open = true;
  for (const old of document.querySelectorAll("li.target")) old.classList.remove("target");
  target.classList.add("target");
  target.focus();
  target.scrollIntoView({ block: "nearest" });
}

function fits(answer, wanted) {
  if (wanted.outcome && (answer.outcome || "none") !== wanted.outcome) return false;
  if (wanted.cause && answer.cause !== wanted.cause) return false;
  const verdicts = (answer.claims || []).map((claim) => claim.verdict).filter(Boolean);
  if (wanted.verdict === "none") return verdicts.length === 0;
  if (wanted.verdict === "supported") return verdicts.length > 0 && verdicts.every((verdict) => verdict === "supported");
  return !wanted.verdict || verdicts.includes(wanted.verdict);
}

function choiceOf(button, systems) {
  const { filter, system, baseline, from, to, cause, slice, words } = button.dataset;
  const outcome = (item, index) => item.answers[Number(index)]?.outcome;
  if (filter === "cell") {
    return { button, words: `${systems[baseline]} ${spaced(from)}, ${systems[system]} ${spaced(to)}`, test: (item) => outcome(item, baseline) === from && outcome(item, system) === to };
  }
  if (filter === "cause") return { button, words: `${systems[system]}, ${spaced(cause)}`, test: (item) => item.answers[Number(system)]?.cause === cause };
  return { button, words, test: (item) => item.slices.includes(Number(slice)) };
}

function searchable(item) {
  const answers = item.answers.filter(Boolean);
  const quotes = answers.flatMap((answer) => [...(answer.claims || []), ...(answer.citations || [])].map((part) => part.quote)).filter(Boolean);
  const texts = [item.id, item.question, item.document, ...(item.reference_answers || []), ...answers.map((answer) => answer.text), ...quotes.flatMap((quote) => [quote.text, quote.document_name])];
  return texts.filter(Boolean).join("\n").toLowerCase();
}

startCases();
