import { call, events, getJson } from "/static/api.js";
import { element } from "/static/element.js";

const PAGE = 100;
const list = document.getElementById("documents");
const message = document.getElementById("library-message");
const more = document.getElementById("more");
const chooser = document.getElementById("collection");
const rows = new Map();
let cursor = null;

export const collection = () => chooser.value || "default";

const WORDS = {
  queued: "waiting", parsing: "reading", embedding: "indexing", ready: "ready", failed: "failed", cancelled: "cancelled",
};

function facts(item) {
  const parts = [element("span", { className: item.status, textContent: WORDS[item.status] ?? item.status })];
  if (item.n_pages) parts.push(`${item.n_pages} ${item.n_pages === 1 ? "page" : "pages"}`);
  if (item.status === "ready") parts.push(`${item.n_passages} ${item.n_passages === 1 ? "passage" : "passages"}`);
  return parts.map((part) => (typeof part === "string" ? element("span", { textContent: part }) : part));
}

function action(label, name, run) {
  const button = element("button", { type: "button", className: "quiet", textContent: label });
  button.setAttribute("aria-label", `${label} ${name}`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try { await run(); } catch (error) { message.textContent = error.message; button.disabled = false; }
  });
  return button;
}

function show(item, { atEnd = false } = {}) {
  if (item.collection !== collection()) return;
  const row = element("li", {}, element("strong", { textContent: item.name, dir: "auto" }));
  const line = element("div", { className: "facts" }, ...facts(item));
  const path = `/v1/documents/${encodeURIComponent(item.document_id)}`;
  if (["failed", "cancelled"].includes(item.status)) line.append(action("Retry", item.name, () => call("POST", `${path}/retry`)));
  if (["queued", "parsing", "embedding"].includes(item.status)) line.append(action("Cancel", item.name, () => call("POST", `${path}/cancel`)));
  line.append(action("Delete", item.name, () => remove(item, path)));
  row.append(line);
  if (["parsing", "embedding"].includes(item.status)) {
    row.append(element("progress", { max: 1, value: item.progress, ariaLabel: `Progress of ${item.name}` }));
  }
  if (item.error) row.append(element("div", { className: "failed", textContent: item.error.message }));
  for (const warning of item.receipt?.warnings ?? []) row.append(element("div", { className: "meta", textContent: warning }));
  const old = rows.get(item.document_id);
  if (old) old.replaceWith(row);
  else if (atEnd) list.append(row);
  else list.prepend(row);
  rows.set(item.document_id, row);
}

async function remove(item, path) {
  if (!confirm(`Delete “${item.name}” with everything that was made of it?`)) return;
  const { deleted } = await (await call("DELETE", path)).json();
  rows.get(item.document_id)?.remove();
  rows.delete(item.document_id);
  message.textContent = `Deleted ${item.name}: ${deleted.passages} passages, ${deleted.vectors} vectors, ${deleted.files} files.`;
}

async function upload(files) {
  for (const file of files) {
    const form = new FormData();
    form.append("collection", collection());
    form.append("file", file, file.name);
    message.textContent = `Sending ${file.name} …`;
    try {
      const [row] = (await (await call("POST", "/v1/documents", { body: form })).json()).data;
      message.textContent = row.duplicate_of ? `${file.name} is here already.` : `${file.name} was taken in.`;
      show(await getJson(`/v1/documents/${row.document_id}`));
    } catch (error) {
      const reasons = (error.problem?.errors ?? []).map((row) => row.error?.message).filter(Boolean);
      message.textContent = `${file.name}: ${reasons.join(" ") || error.message}`;
    }
  }
}

export async function refresh({ next = false } = {}) {
  if (!next) { list.replaceChildren(); rows.clear(); cursor = null; }
  const query = new URLSearchParams({ collection: collection(), sort: "-created_at", limit: PAGE });
  if (next && cursor) query.set("cursor", cursor);
  const page = await getJson(`/v1/documents?${query}`);
  for (const item of page.data) show(item, { atEnd: true });
  cursor = page.next_cursor;
  more.hidden = !cursor;
  if (!page.count) message.textContent = "Nothing here yet: add the documents that you want to ask about.";
}

async function listen() {
  for (;;) {
    try {
      for await (const event of events("GET", "/v1/events")) if (event.name === "document") show(event.data);
    } catch { /* the service went away; the next round finds it again */ }
    await new Promise((done) => setTimeout(done, 2000));
  }
}

export async function start() {
  const input = document.getElementById("files");
  const drop = document.getElementById("drop");
  document.getElementById("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", async () => { await upload([...input.files]); input.value = ""; });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); upload([...event.dataTransfer.files]); });
  more.addEventListener("click", () => refresh({ next: true }));
  chooser.addEventListener("change", () => refresh());
  const { data } = await getJson("/v1/collections");
  const names = new Set(["default", ...data.map((row) => row.name ?? row.collection)]);
  chooser.replaceChildren(...[...names].map((name) => element("option", { textContent: name, value: name })));
  const fullest = data.length === 1 ? (data[0].name ?? data[0].collection) : null;
  if (fullest) chooser.value = fullest;
  await refresh();
  listen();
}
