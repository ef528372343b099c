// One document in the library: a line of facts, and below it, once opened, its receipt and what can be done.
import { call, documentPath, download } from "/static/api.js";
import { button, count, decide, element, isolated, sentence, size, sure } from "/static/element.js";
import { isClean, pageStrip, receiptLines } from "/static/receipt.js";

const WORDS = { queued: "waiting", parsing: "being read", embedding: "being indexed", ready: "ready", failed: "failed", cancelled: "cancelled" };
const WORKING = ["queued", "parsing", "embedding"];
const STOPPED = ["failed", "cancelled"];
const KINDS = [["pdf", "PDF"], ["wordprocessingml", "Word"], ["presentationml", "PowerPoint"], ["spreadsheetml", "Excel"], ["epub", "EPUB"], ["html", "HTML"], ["markdown", "Markdown"], ["csv", "CSV"], ["plain", "text"]];
const kind = (type) => KINDS.find(([part]) => type.includes(part))?.[1] ?? type;
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

async function replace(item, tell) {
  document.getElementById("replace-label").textContent = `Replace “${isolated(item.name)}” by a new version`;
  const input = document.getElementById("replace-file");
  const password = document.getElementById("replace-password");
  input.value = password.value = "";
  if (!await decide("replace-dialog") || !input.files.length) return;
  const form = new FormData();
  if (password.value) form.append("password", password.value);
  form.append("file", input.files[0], input.files[0].name);
  await call("PUT", documentPath(item.document_id, "/content"), { body: form });
  tell(`The new version of ${isolated(item.name)} is being read.`);
}

async function remove(item, { tell, gone }) {
  if (!await sure(`Delete “${isolated(item.name)}” with everything that was made of it?`)) return;
  const { deleted, remaining } = await (await call("DELETE", documentPath(item.document_id))).json();
  gone(item.document_id);
  const left = remaining ? `${count(remaining, "trace")} could not be removed; delete it again.` : "Nothing of it is left.";
  tell(`Deleted ${isolated(item.name)}: ${count(deleted.passages, "passage")}, ${count(deleted.vectors, "vector")}, ${count(deleted.files, "file")}. ${left}`);
}

function actions(item, hooks) {
  const act = (label, run, options = {}) => button(label, async () => {
    try { await run(); } catch (error) { hooks.tell(error.message); }
  }, { name: `${label} ${item.name}`, ...options });
  const post = (what) => () => call("POST", documentPath(item.document_id, what));
  const row = element("div", { className: "row actions" });
  if (item.live_version !== null) row.append(element("a", { className: "quiet", href: `#/doc/${encodeURIComponent(item.document_id)}`, "aria-label": `Read ${item.name}` }, "Read"));
  if (STOPPED.includes(item.status)) row.append(act("Retry", post("/retry")));
  if (WORKING.includes(item.status)) row.append(act("Cancel", post("/cancel")));
  row.append(act("Replace", () => replace(item, hooks.tell)), act("Download", () => download(documentPath(item.document_id, "/content"), item.name)),
    act("Delete", () => remove(item, hooks), { className: "quiet danger" }));
  return row;
}

function inside(item, hooks) {
  const facts = [
    `Added ${DAY.format(new Date(item.created_at))}`, item.version > 1 ? `version ${item.version}` : null, kind(item.media_type), size(item.n_bytes),
  ].filter(Boolean).join(" · ");
  const lines = receiptLines(item.receipt);
  return element("div", { className: "inside" },
    element("p", { className: "meta", textContent: facts }),
    pageStrip(item.receipt),
    lines.length ? element("ul", { className: "receipt" }, lines.map((line) => element("li", { textContent: line, dir: "auto" }))) : null,
    actions(item, hooks));
}

// The facts of a document; `open` keeps its row unfolded when news of it arrives.
export function documentRow(item, hooks, open) {
  const facts = element("span", { className: "facts" },
    element("span", { className: `state ${item.status}`, textContent: WORDS[item.status] ?? item.status }),
    item.n_pages ? element("span", { textContent: count(item.n_pages, "page") }) : null,
    item.n_passages ? element("span", { textContent: count(item.n_passages, "passage") }) : null,
    item.status === "ready" && !isClean(item.receipt) ? element("span", { className: "warned", textContent: "see its receipt" }) : null);
  const head = element("button", { type: "button", className: "row-head", "aria-expanded": String(open) }, element("span", { className: "name" }, element("bdi", { textContent: item.name })), facts);
  const row = element("li", { data: { id: item.document_id } }, head);
  if (WORKING.includes(item.status)) {
    row.append(element("div", { className: "row working" },
      element("progress", { max: 1, value: item.progress, "aria-label": `Progress of ${item.name}` }),
      button("Cancel", () => call("POST", documentPath(item.document_id, "/cancel")).catch((error) => hooks.tell(error.message)), { name: `Cancel ${item.name}` })));
  }
  if (item.error) {
    const page = item.error.page ? ` (page ${item.error.page})` : "";
    row.append(element("p", { className: "bad problem", textContent: `${sentence(item.error.message)}${page}`, dir: "auto" }));
  }
  const toggle = (wanted) => {
    head.setAttribute("aria-expanded", String(wanted));
    row.querySelector(".inside")?.remove();
    if (wanted) row.append(inside(item, hooks));
  };
  head.addEventListener("click", () => toggle(head.getAttribute("aria-expanded") !== "true"));
  if (open) toggle(true);
  return row;
}
