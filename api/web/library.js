// The list of documents: found by name, sorted, paged by cursor, and kept up to date by the service's events.
import { events, getJson } from "/static/api.js";
import { collection, onChange, rereadSoon } from "/static/collections.js";
import { count } from "/static/element.js";
import { documentRow } from "/static/row.js";
import { onArrival } from "/static/upload.js";

const PAGE = 50;
const list = document.getElementById("documents");
const message = document.getElementById("library-message");
const empty = document.getElementById("empty");
const more = document.getElementById("more");
const find = document.getElementById("find");
const filter = document.getElementById("show");
const sort = document.getElementById("sort");
const rows = new Map(); // document_id -> { row, at }
let cursor = null;
let total = 0;
let asked = 0; // the newest question wins
let loading = false;
let forget = () => {};

const tell = (text) => { message.textContent = text; };
const hooks = { tell, gone };
const plain = () => !find.value.trim() && !filter.value;

function counted() {
  const line = document.getElementById("library-count");
  line.textContent = total ? `${count(total, "document")}${plain() ? "" : " found"}` : "";
  empty.hidden = rows.size > 0;
  empty.textContent = plain() ? "Nothing here yet: add the documents that you want to ask about." : "No document matches.";
}

function focusedLabel(row) {
  const active = document.activeElement;
  return row.contains(active) ? active.getAttribute("aria-label") ?? active.className : null;
}

function put(item, { atEnd = false } = {}) {
  const old = rows.get(item.document_id);
  if (old && old.at > item.updated_at) return; // an event has overtaken it
  const row = documentRow(item, hooks, old?.row.querySelector(".row-head").getAttribute("aria-expanded") === "true");
  if (old) {
    const label = focusedLabel(old.row);
    old.row.replaceWith(row);
    if (label) ([...row.querySelectorAll("button, a")].find((node) => (node.getAttribute("aria-label") ?? node.className) === label) ?? row.querySelector("button")).focus();
  } else if (atEnd) list.append(row);
  else list.prepend(row);
  rows.set(item.document_id, { row, at: item.updated_at });
}

// News of one document: shown where it belongs; what is not on this page of the list is only counted.
function news(item) {
  if (item.collection !== collection()) { rereadSoon(); return; }
  const isNew = !rows.has(item.document_id);
  if (isNew && !(plain() && sort.value === "-created_at")) { rereadSoon(); return; }
  if (isNew && rows.size && cursor && item.created_at < oldestShown()) return;
  if (isNew) { total += 1; rereadSoon(); }
  put(item);
  counted();
}

const oldestShown = () => list.lastElementChild?.dataset.created ?? "";

function gone(documentId) {
  forget(documentId);
  const old = rows.get(documentId)?.row;
  if (!old) return;
  const next = (old.nextElementSibling ?? old.previousElementSibling)?.querySelector("button") ?? document.getElementById("choose");
  if (old.contains(document.activeElement) || document.activeElement === document.body) next.focus({ preventScroll: true });
  old.remove();
  rows.delete(documentId);
  total = Math.max(0, total - 1);
  counted();
  rereadSoon();
}

async function refresh({ next = false } = {}) {
  const mine = asked += 1;
  const query = new URLSearchParams({ collection: collection(), sort: sort.value, limit: PAGE });
  if (find.value.trim()) query.set("q", find.value.trim());
  if (filter.value) query.set("status", filter.value);
  if (next) query.set("cursor", cursor);
  const page = await getJson(`/v1/documents?${query}`);
  if (mine !== asked) return;
  if (!next) { list.replaceChildren(); rows.clear(); }
  for (const item of page.data) put(item, { atEnd: true });
  for (const item of page.data) { const kept = rows.get(item.document_id); if (kept) kept.row.dataset.created = item.created_at; }
  total = page.count;
  cursor = page.next_cursor;
  more.hidden = !cursor;
  counted();
}

const telling = (run) => run().catch((error) => tell(error.message));

async function loadMore() {
  if (loading || !cursor) return;
  loading = true;
  await telling(() => refresh({ next: true }));
  loading = false;
}

// Follows the news for as long as the page is open; what was missed is read again at each new start.
async function listen() {
  let lost = false;
  for (;;) {
    try {
      for await (const event of events("GET", "/v1/events", { opened: async () => { await refresh(); if (lost) tell("Connected again."); lost = false; } })) {
        if (event.name === "document") news(event.data);
        if (event.name === "deleted") gone(event.data.document_id);
      }
    } catch (error) {
      if (error.declined) { tell(error.message); return; }
      if (error.unreachable && !lost) tell("The service cannot be reached. This page tries again by itself.");
    }
    lost = true;
    await new Promise((done) => { setTimeout(done, 2000); });
  }
}

export function show() {} // the list is kept up to date whether it is seen or not

export function start(told) {
  ({ forget } = told);
  onArrival((item) => { if (item.collection === collection()) news(item); });
  let typing;
  find.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => telling(refresh), 250); });
  for (const field of [filter, sort]) field.addEventListener("change", () => telling(refresh));
  more.addEventListener("click", loadMore);
  new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) loadMore(); }, { rootMargin: "600px" }).observe(more);
  onChange(({ chosen }) => { if (chosen) telling(refresh); });
  listen();
}
