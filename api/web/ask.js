import { events } from "/static/api.js";
import { codePoints, element } from "/static/element.js";
import { collection } from "/static/library.js";
import { openSource } from "/static/source.js";

const form = document.getElementById("ask-form");
const question = document.getElementById("question");
const message = document.getElementById("ask-message");
const answers = document.getElementById("answers");
const send = document.getElementById("send");
const stop = document.getElementById("stop");

function place(item) {
  const pages = item.page ? `, page ${item.page.start}${item.page.end > item.page.start ? `–${item.page.end}` : ""}` : "";
  return `${item.document_name}${pages}`;
}

function chip(citation) {
  const button = element("button", { type: "button", className: "chip", textContent: citation.marker });
  button.title = `${place(citation)}: “${citation.quote}”`;
  button.setAttribute("aria-label", `Source ${citation.marker}: ${place(citation)}`);
  button.addEventListener("click", () => openSource(citation, place(citation), button));
  return button;
}

// The text with each [n] that belongs to a citation replaced by its chip.
function withChips(answer) {
  const points = codePoints(answer.text ?? "This answer was removed together with a document that it quoted.");
  const nodes = [];
  let from = 0;
  for (const citation of [...answer.citations].sort((a, b) => a.answer_span.end - b.answer_span.end)) {
    const end = citation.answer_span.end;
    const label = `[${citation.marker}]`;
    const at = points.slice(Math.max(end, from), Math.max(end, from) + 40).join("").indexOf(label);
    if (at < 0) continue;
    const start = Math.max(end, from) + at;
    nodes.push(points.slice(from, start).join(""), chip(citation));
    from = start + label.length;
  }
  nodes.push(points.slice(from).join(""));
  return nodes;
}

function finish(card, answer) {
  card.querySelector(".text").replaceChildren(...withChips(answer));
  card.querySelector(".text").classList.remove("draft");
  const seconds = answer.timings.total_seconds.toFixed(1);
  const model = answer.model ? `${answer.model.name} on ${answer.model.device}` : "no model was needed";
  card.append(element("p", { className: "meta", textContent: `${model}, ${seconds} s` }));
  if (answer.retrieved.length) {
    const found = element("details", {}, element("summary", { textContent: `What was found (${answer.retrieved.length})` }));
    for (const hit of answer.retrieved) {
      found.append(element("strong", { textContent: `${hit.rank}. ${place(hit)}`, dir: "auto" }), element("p", { textContent: hit.text, dir: "auto" }));
    }
    if (answer.abstained) found.open = true;
    card.append(found);
  }
}

async function ask() {
  const control = new AbortController();
  const mode = document.getElementById("closed").checked ? "closed_book" : "grounded";
  const text = element("p", { className: "text draft", textContent: "…", dir: "auto" });
  const card = element("article", {}, element("h3", { textContent: question.value, dir: "auto" }), text);
  answers.prepend(card);
  send.disabled = true;
  stop.hidden = false;
  stop.onclick = () => control.abort();
  message.textContent = "Looking for passages …";
  let draft = "";
  try {
    const body = JSON.stringify({ question: question.value, collection: collection(), mode, stream: true });
    for await (const event of events("POST", "/v1/ask", { body, signal: control.signal })) {
      if (event.name === "retrieval") message.textContent = "Reading them and writing …";
      if (event.name === "token") text.textContent = draft += event.data.text;
      if (event.name === "answer") finish(card, event.data);
      if (event.name === "error") throw new Error(event.data.detail);
    }
    message.textContent = "";
  } catch (error) {
    text.classList.remove("draft");
    message.textContent = error.name === "AbortError" ? "Stopped." : error.message;
  } finally {
    send.disabled = false;
    stop.hidden = true;
  }
}

export function start() {
  form.addEventListener("submit", (event) => { event.preventDefault(); if (question.value.trim()) ask(); });
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
}
