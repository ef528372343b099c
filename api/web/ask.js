import { events } from "/static/api.js";
import { countPoints, element, isolated } from "/static/element.js";
import { collection } from "/static/library.js";
import { openSource } from "/static/source.js";

const GONE = "This answer was removed together with a document that it quoted.";
const form = document.getElementById("ask-form");
const question = document.getElementById("question");
const message = document.getElementById("ask-message");
const answers = document.getElementById("answers");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
let running = null;

function place(item) {
  const pages = item.page ? `, page ${item.page.start}${item.page.end > item.page.start ? `–${item.page.end}` : ""}` : "";
  return `${isolated(item.document_name)}${pages}`;
}

function chip(citation) {
  const button = element("button", { type: "button", className: "chip", textContent: citation.marker });
  button.title = `${place(citation)}: “${isolated(citation.quote)}”`;
  button.dataset.document = citation.document_id;
  button.setAttribute("aria-label", `Source ${citation.marker}: ${place(citation)}`);
  button.addEventListener("click", () => openSource(citation, place(citation), button));
  return button;
}

// The text with each [n] replaced by a chip for each quote n of the sentence that it follows.
function withChips({ text, citations }) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(/\[(\d+)\]/g)) {
    const at = countPoints(text.slice(0, found.index));
    const own = citations.filter((item) => item.marker === Number(found[1]) && item.answer_span.end <= at);
    if (!own.length) continue;
    const nearest = Math.max(...own.map((item) => item.answer_span.end));
    nodes.push(text.slice(from, found.index), ...own.filter((item) => item.answer_span.end === nearest).map(chip));
    from = found.index + found[0].length;
  }
  return [...nodes, text.slice(from)];
}

function finish(card, answer) {
  const text = card.querySelector(".text");
  text.classList.remove("draft");
  if (answer.text === null) { text.textContent = GONE; return; }
  text.replaceChildren(...withChips(answer));
  const model = answer.model ? `${answer.model.name} on ${answer.model.device}` : "no model was needed";
  card.append(element("p", { className: "meta", textContent: `${model}, ${answer.timings.total_seconds.toFixed(1)} s` }));
  if (!answer.retrieved.length) return;
  const found = element("details", { open: answer.abstained }, element("summary", { textContent: `What was found (${answer.retrieved.length})` }));
  for (const hit of answer.retrieved) {
    const row = element("div", { className: "hit" },
      element("strong", { textContent: `${hit.rank}. ${place(hit)}` }), element("p", { textContent: hit.text, dir: "auto" }));
    row.dataset.document = hit.document_id;
    found.append(row);
  }
  card.append(found);
}

async function ask() {
  const control = new AbortController();
  const closedBook = document.getElementById("closed").checked;
  const text = element("p", { className: "text draft", textContent: "…", dir: "auto" });
  const card = element("article", {}, element("h3", { textContent: question.value, dir: "auto" }), text);
  answers.prepend(card);
  running = control;
  send.setAttribute("aria-disabled", "true"); // not `disabled`, which would take the focus away
  stop.hidden = false;
  message.textContent = closedBook ? "Writing …" : "Looking for passages …";
  let draft = "";
  let end = "The service broke off; ask again.";
  try {
    const body = JSON.stringify({
      question: question.value, collection: collection(), mode: closedBook ? "closed_book" : "grounded", stream: true,
    });
    for await (const event of events("POST", "/v1/ask", { body, signal: control.signal })) {
      if (event.name === "retrieval" && !closedBook) message.textContent = "Reading them and writing …";
      if (event.name === "token") text.textContent = draft += event.data.text;
      if (event.name === "answer") { finish(card, event.data); end = "Answered."; }
      if (event.name === "error") throw new Error(event.data.detail);
    }
  } catch (error) {
    end = error.name === "AbortError" ? "Stopped." : error.message;
  } finally {
    if (text.classList.contains("draft")) { // no answer came: what stands there is unfinished, and says so
      text.classList.remove("draft");
      text.textContent = draft;
      text.hidden = !draft;
      card.append(element("p", { className: "meta", textContent: end }));
    }
    message.textContent = end;
    running = null;
    send.removeAttribute("aria-disabled");
    if (document.activeElement === stop) question.focus();
    stop.hidden = true;
  }
}

// Nothing on the page quotes a document that was deleted.
export function forget(documentId) {
  const own = `[data-document="${CSS.escape(documentId)}"]`;
  for (const quoted of answers.querySelectorAll(`.chip${own}`)) quoted.closest(".text")?.replaceChildren(GONE);
  for (const hit of answers.querySelectorAll(`.hit${own}`)) hit.replaceChildren("Deleted.");
}

export function start() {
  stop.addEventListener("click", () => running?.abort());
  form.addEventListener("submit", (event) => { event.preventDefault(); if (question.value.trim() && !running) ask(); });
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
}
