// The conversation: asking, following up, stopping, and finding it again after a reload.
import { getJson } from "/static/api.js";
import { collection, nDocuments, onChange } from "/static/collections.js";
import { element, isolated } from "/static/element.js";
import { remember, remembered } from "/static/store.js";
import { Turn } from "/static/turn.js";
import { chooseFiles } from "/static/upload.js";

const MAX_HISTORY = 4; // questions before this one that are sent along
const MAX_KEPT = 30; // turns that are found again
const form = document.getElementById("ask-form");
const question = document.getElementById("question");
const message = document.getElementById("ask-message");
const thread = document.getElementById("thread");
const note = document.getElementById("thread-note");
const send = document.getElementById("send");
const stop = document.getElementById("stop");
const fresh = document.getElementById("new-conversation");
let turns = [];
let borrowed = false; // the answer of a link is shown, and the conversation waits
let follows = null; // the turn that the next question follows
let running = null;
let restored = null;

const modes = () => { const chosen = form.elements.mode.value; return chosen === "both" ? ["grounded", "closed_book"] : [chosen]; };
const number = (id) => { const { value } = document.getElementById(id); return value === "" ? undefined : Number(value); };

function furnish() {
  document.getElementById("welcome").hidden = turns.length > 0 || nDocuments() > 0;
  fresh.hidden = turns.length === 0;
  const follow = document.getElementById("follow");
  follow.hidden = follows === null;
  document.getElementById("follow-text").textContent = follows ? `Follows “${isolated(follows.question)}”` : "";
  question.placeholder = follows ? "Ask a follow-up" : "Ask a question";
}

const followUp = (turn) => { follows = turn; furnish(); question.focus(); };

function add(turn) {
  turns.push(turn);
  thread.append(turn.node);
}

function save() {
  if (!borrowed) remember("conversation", turns.map((turn) => turn.ids).filter((ids) => Object.keys(ids).length).slice(-MAX_KEPT));
}

function history() {
  if (!follows) return undefined;
  const before = turns.slice(0, turns.indexOf(follows) + 1).filter((turn) => turn.main?.text).slice(-MAX_HISTORY);
  return before.flatMap((turn) => [{ role: "user", content: turn.question }, { role: "assistant", content: turn.main.text }]);
}

async function ask() {
  const control = new AbortController();
  const asked = question.value.trim();
  const sampling = { max_new_tokens: number("option-length"), temperature: number("option-temperature") };
  const body = {
    question: asked, collection: collection(), k: number("option-k"), history: history(),
    policy: document.getElementById("option-strict").checked ? "strict" : "flag",
    sampling: Object.values(sampling).some((value) => value !== undefined) ? sampling : undefined,
  };
  if (borrowed) { borrowed = false; note.hidden = true; }
  const turn = new Turn(asked, modes(), { follow: followUp });
  add(turn);
  const goesOn = follows !== null || turns.length === 1;
  follows = null;
  question.value = "";
  sessionStorage.removeItem("citebound-question");
  grow();
  furnish();
  running = control;
  send.hidden = true;
  stop.hidden = false;
  turn.node.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  const ends = await Promise.all([...turn.panes.keys()].map((mode) => turn.run(mode, body, control.signal, (line) => { message.textContent = line; })));
  message.textContent = ends.join(" ");
  running = null;
  const had = document.activeElement === stop;
  send.hidden = false;
  stop.hidden = true;
  if (had) question.focus();
  if (turn.main) {
    window.history.replaceState(null, "", `#/ask/${encodeURIComponent(turn.main.answer_id)}`);
    if (goesOn) follows = turn;
  } else {
    question.value ||= asked; // so that it can be asked again
    grow();
  }
  save();
  furnish();
}

async function read(ids) {
  const found = await Promise.allSettled(Object.values(ids).map((id) => getJson(`/v1/answers/${encodeURIComponent(id)}`)));
  const answers = found.filter((row) => row.status === "fulfilled").map((row) => row.value);
  if (!answers.length) {
    const failed = found.find((row) => row.status === "rejected");
    throw failed?.reason ?? new Error("There is no such answer.");
  }
  const turn = new Turn(answers[0].question, answers.map((answer) => answer.mode), { follow: followUp });
  for (const answer of answers) turn.show(answer.mode, answer);
  return turn;
}

async function restore() {
  const kept = remembered("conversation", []);
  const found = await Promise.allSettled((Array.isArray(kept) ? kept : []).filter((ids) => ids && typeof ids === "object").map(read));
  if (turns.length) return; // a question was asked meanwhile
  clear();
  for (const row of found) if (row.status === "fulfilled") add(row.value);
  follows = turns.at(-1) ?? null;
  furnish();
}

function clear() {
  turns = [];
  follows = null;
  thread.replaceChildren();
  note.hidden = true;
  furnish();
}

async function showLinked(id) {
  note.replaceChildren("Opening the answer …");
  note.hidden = false;
  try {
    const turn = await read({ linked: id });
    clear();
    borrowed = true;
    add(turn);
    note.replaceChildren("This is one stored answer. ", element("a", { href: "#/ask", textContent: "Back to your conversation" }));
    note.hidden = false;
  } catch (error) {
    note.replaceChildren(error.status === 404 ? "There is no answer under this address; it may have been deleted." : error.message);
    note.hidden = false;
  }
  furnish();
}

export async function show([id]) {
  restored ??= restore();
  await restored;
  if (running) return;
  const own = turns.find((turn) => Object.values(turn.ids).includes(id));
  if (own) {
    if (own !== turns.at(-1)) own.node.scrollIntoView({ block: "start" });
    return;
  }
  if (id) await showLinked(id);
  else if (borrowed) {
    borrowed = false;
    clear();
    await restore();
  }
}

// Nothing on the page quotes a document that was deleted: what is stored is read again, which says nothing of it.
export async function forget(documentId) {
  for (const turn of turns) {
    for (const [mode, answer] of turn.answers) {
      if (![...answer.retrieved, ...answer.citations].some((item) => item.document_id === documentId)) continue;
      const pane = turn.panes.get(mode);
      pane.replaceChildren(element("p", { className: "note", textContent: "Removed together with a document." }));
      try { turn.show(mode, await getJson(`/v1/answers/${encodeURIComponent(answer.answer_id)}`)); } catch { /* it stays removed */ }
    }
  }
}

function grow() {
  question.style.height = "auto";
  question.style.height = `${Math.min(question.scrollHeight + 2, 200)}px`;
}

export function start() {
  stop.addEventListener("click", () => running?.abort());
  form.addEventListener("submit", (event) => { event.preventDefault(); if (question.value.trim() && !running) ask(); });
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
  question.addEventListener("input", () => { grow(); sessionStorage.setItem("citebound-question", question.value); });
  question.value = sessionStorage.getItem("citebound-question") ?? "";
  grow();
  document.getElementById("follow-off").addEventListener("click", () => { follows = null; furnish(); question.focus(); });
  document.getElementById("welcome-add").addEventListener("click", chooseFiles);
  fresh.addEventListener("click", () => {
    running?.abort();
    borrowed = false;
    clear();
    save();
    window.history.replaceState(null, "", "#/ask");
    question.focus();
  });
  const mode = remembered("mode", "grounded");
  if (["grounded", "both", "closed_book"].includes(mode)) form.elements.mode.value = mode;
  for (const radio of form.elements.mode) radio.addEventListener("change", () => remember("mode", form.elements.mode.value));
  onChange(furnish);
}
