import { call, events, getJson } from "/static/api.js";
import { element, isolated } from "/static/element.js";

const PAGE = 100;
const list = document.getElementById("documents");
const message = document.getElementById("library-message");
const refused = document.getElementById("refused");
const empty = document.getElementById("empty");
const more = document.getElementById("more");
const chooser = document.getElementById("collection");
const rows = new Map(); // document_id -> { row, at }
let cursor = null;
let forget = () => {};

export const collection = () => chooser.value || "default";

const WORDS = {
  queued: "waiting", parsing: "reading", embedding: "indexing", ready: "ready", failed: "failed", cancelled: "cancelled",
};
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function action(label, name, run) {
  const button = element("button", { type: "button", className: "quiet", textContent: label });
  button.setAttribute("aria-label", `${label} ${name}`);
  button.addEventListener("click", async () => {
    try { await run(); } catch (error) { message.textContent = error.message; }
  });
  return button;
}

function rowOf(item) {
  const facts = element("div", { className: "facts" },
    element("span", { className: item.status, textContent: WORDS[item.status] ?? item.status }),
    item.n_pages ? element("span", { textContent: count(item.n_pages, "page") }) : null,
    item.status === "ready" ? element("span", { textContent: count(item.n_passages, "passage") }) : null);
  const path = `/v1/documents/${encodeURIComponent(item.document_id)}`;
  if (["failed", "cancelled"].includes(item.status)) facts.append(action("Retry", item.name, () => call("POST", `${path}/retry`)));
  if (["queued", "parsing", "embedding"].includes(item.status)) facts.append(action("Cancel", item.name, () => call("POST", `${path}/cancel`)));
  facts.append(action("Delete", item.name, () => remove(item, path)));
  const row = element("li", {}, element("strong", { textContent: item.name, dir: "auto" }), facts);
  if (["parsing", "embedding"].includes(item.status)) {
    row.append(element("progress", { max: 1, value: item.progress, ariaLabel: `Progress of ${item.name}` }));
  }
  if (item.error) row.append(element("div", { className: "failed", textContent: item.error.message }));
  for (const warning of item.receipt?.warnings ?? []) row.append(element("div", { className: "meta", textContent: warning }));
  return row;
}

function show(item, { atEnd = false } = {}) {
  know(item.collection);
  if (item.collection !== collection()) return;
  const old = rows.get(item.document_id);
  if (old && old.at > item.updated_at) return; // an event has overtaken it
  const row = rowOf(item);
  if (old) {
    const label = old.row.contains(document.activeElement) ? document.activeElement.textContent : null;
    old.row.replaceWith(row);
    if (label) ([...row.querySelectorAll("button")].find((button) => button.textContent === label) ?? row.querySelector("button")).focus();
  } else if (atEnd) list.append(row);
  else list.prepend(row);
  rows.set(item.document_id, { row, at: item.updated_at });
  empty.hidden = true;
}

function gone(documentId) {
  forget(documentId);
  const old = rows.get(documentId)?.row;
  if (!old) return;
  const next = (old.nextElementSibling ?? old.previousElementSibling)?.querySelector("button") ?? document.getElementById("choose");
  if (old.contains(document.activeElement)) next.focus();
  old.remove();
  rows.delete(documentId);
  empty.hidden = rows.size > 0;
}

async function remove(item, path) {
  if (!confirm(`Delete “${isolated(item.name)}” with everything that was made of it?`)) return;
  const { deleted } = await (await call("DELETE", path)).json();
  gone(item.document_id);
  message.textContent =
    `Deleted ${isolated(item.name)}: ${count(deleted.passages, "passage")}, ${count(deleted.vectors, "vector")}, ${count(deleted.files, "file")}.`;
}

async function upload(files) {
  let taken = 0;
  let already = 0;
  refused.replaceChildren();
  for (const file of files) {
    const form = new FormData();
    form.append("collection", collection());
    form.append("file", file, file.name);
    message.textContent = `Sending ${isolated(file.name)} …`;
    try {
      const [row] = (await (await call("POST", "/v1/documents", { body: form })).json()).data;
      if (row.duplicate_of) already += 1;
      else taken += 1;
      show(await getJson(`/v1/documents/${encodeURIComponent(row.document_id)}`));
    } catch (error) {
      const reasons = (error.problem?.errors ?? []).map((row) => row.error?.message).filter(Boolean);
      refused.append(element("li", { textContent: `${isolated(file.name)}: ${reasons.join(" ") || error.message}` }));
    }
  }
  const n_refused = refused.children.length;
  message.textContent = [
    taken ? `Took in ${count(taken, "file")}.` : "",
    already ? `${count(already, "file")} ${already === 1 ? "was" : "were"} here already.` : "",
    n_refused ? `Refused ${count(n_refused, "file")}:` : "",
  ].filter(Boolean).join(" ");
}

function know(name) {
  if ([...chooser.options].every((option) => option.value !== name)) {
    chooser.append(element("option", { textContent: name, value: name }));
  }
}

async function refresh({ next = false } = {}) {
  const wanted = collection();
  const query = new URLSearchParams({ collection: wanted, sort: "-created_at", limit: PAGE });
  if (next) query.set("cursor", cursor);
  const page = await getJson(`/v1/documents?${query}`);
  if (wanted !== collection()) return; // another was chosen meanwhile
  if (!next) { list.replaceChildren(); rows.clear(); }
  for (const item of page.data) show(item, { atEnd: true });
  cursor = page.next_cursor;
  more.hidden = !cursor;
  empty.hidden = rows.size > 0;
}

const telling = (run) => run().catch((error) => { message.textContent = error.message; });

// Follows the news for as long as the page is open; what was missed is read again at each new start.
async function listen() {
  for (;;) {
    try {
      for await (const event of events("GET", "/v1/events", { opened: refresh })) {
        if (event.name === "document") show(event.data);
        if (event.name === "deleted") gone(event.data.document_id);
      }
    } catch (error) {
      if (error.declined) return;
    }
    await new Promise((done) => setTimeout(done, 2000));
  }
}

async function open() {
  const { data } = await getJson("/v1/collections");
  const names = data.map((row) => row.name);
  names.forEach(know);
  const before = sessionStorage.getItem("citebound-collection");
  if (names.includes(before)) chooser.value = before;
  else if (names.length === 1) [chooser.value] = names;
  await refresh();
}

export async function start(told) {
  ({ forget } = told);
  const input = document.getElementById("files");
  const drop = document.getElementById("drop");
  document.getElementById("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", async () => { await upload([...input.files]); input.value = ""; });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); upload([...event.dataTransfer.files]); });
  more.addEventListener("click", () => telling(() => refresh({ next: true })));
  chooser.addEventListener("change", () => {
    sessionStorage.setItem("citebound-collection", collection());
    telling(refresh);
  });
  try {
    await open();
  } catch (error) {
    message.textContent = error.message;
    if (error.declined) return;
  }
  listen();
}
