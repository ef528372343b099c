// Adding files: chosen, dropped anywhere on the page, or a whole folder; three at a time.
import { call, documentPath, getJson } from "/static/api.js";
import { collection, rereadSoon } from "/static/collections.js";
import { count, element, isolated } from "/static/element.js";

const AT_ONCE = 3;
const message = document.getElementById("library-message");
const refused = document.getElementById("refused");
const input = document.getElementById("files");
const overlay = document.getElementById("drop-here");
let arrived = () => {};
const waiting = [];
let tally = null;

export const onArrival = (run) => { arrived = run; };
export const chooseFiles = () => input.click();

function tell() {
  const { sent, taken, already } = tally;
  const total = tally.total;
  if (sent < total) { message.textContent = `Sending ${sent + 1} of ${total} …`; return; }
  const n_refused = refused.children.length;
  message.textContent = [
    taken ? `Took in ${count(taken, "file")}.` : "",
    already ? `${count(already, "file")} ${already === 1 ? "was" : "were"} here already.` : "",
    n_refused ? `Refused ${count(n_refused, "file")}:` : "",
  ].filter(Boolean).join(" ");
}

async function sendOne({ file, into }) {
  const form = new FormData();
  const password = document.getElementById("password").value;
  form.append("collection", into);
  form.append("on_duplicate", document.getElementById("on-duplicate").value);
  if (password) form.append("password", password);
  form.append("file", file, file.name);
  try {
    const [row] = (await (await call("POST", "/v1/documents", { body: form })).json()).data;
    if (row.duplicate_of) tally.already += 1;
    else tally.taken += 1;
    arrived(await getJson(documentPath(row.document_id)));
  } catch (error) {
    const reasons = (error.problem?.errors ?? []).map((row) => row.error?.message).filter(Boolean);
    refused.append(element("li", { textContent: `${isolated(file.name)}: ${reasons.join(" ") || error.message}` }));
  }
  tally.sent += 1;
  tell();
}

async function worker() {
  while (waiting.length) await sendOne(waiting.shift());
}

// Resolves once everything that waits was sent.
export async function upload(files) {
  const seen = [...files].filter((file) => !file.name.startsWith(".")); // what systems leave in folders
  if (!seen.length) return;
  if (location.hash.startsWith("#/compare") || location.hash.startsWith("#/inspect")) location.hash = "#/library";
  const into = collection();
  waiting.push(...seen.map((file) => ({ file, into })));
  if (tally && tally.sent < tally.total) { tally.total += seen.length; tell(); return; }
  tally = { total: seen.length, sent: 0, taken: 0, already: 0 };
  refused.replaceChildren();
  tell();
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  rereadSoon();
}

const entries = (reader) => new Promise((done, failed) => { reader.readEntries(done, failed); });
const fileOf = (entry) => new Promise((done, failed) => { entry.file(done, failed); });

async function* within(entry) {
  if (entry.isFile) { yield await fileOf(entry); return; }
  const reader = entry.createReader();
  for (let some = await entries(reader); some.length; some = await entries(reader)) for (const child of some) yield* within(child);
}

async function dropped(transfer) {
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!roots.length) return [...transfer.files];
  const files = [];
  for (const root of roots) for await (const file of within(root)) files.push(file);
  return files;
}

function watchDrops() {
  let depth = 0;
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  const out = () => { depth = 0; overlay.hidden = true; };
  addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    depth += 1;
    document.getElementById("drop-collection").textContent = collection();
    overlay.hidden = false;
  });
  addEventListener("dragleave", (event) => { if (carries(event) && (depth -= 1) <= 0) out(); });
  addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
  addEventListener("drop", async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    out();
    try {
      await upload(await dropped(event.dataTransfer));
    } catch {
      message.textContent = "What was dropped cannot be read; choose the files instead.";
    }
  });
}

export function start() {
  const folder = document.getElementById("folder");
  document.getElementById("choose").addEventListener("click", chooseFiles);
  document.getElementById("choose-folder").addEventListener("click", () => folder.click());
  for (const field of [input, folder]) {
    field.addEventListener("change", async () => {
      const files = [...field.files];
      field.value = ""; // so that the same file can be chosen again
      await upload(files);
    });
  }
  document.getElementById("upload-form").addEventListener("submit", (event) => event.preventDefault()); // Enter sends nothing
  watchDrops();
}
