// The panel beside the answer: the page of a PDF with the quoted words marked, or the text with the span marked.
import { call, documentPath, download, getJson } from "/static/api.js";
import { button, element, icon, isolated, pages, unitOf } from "/static/element.js";

const panel = document.getElementById("source");
const head = document.getElementById("source-head");
const body = document.getElementById("source-body");
const main = document.getElementById("main");
const narrow = matchMedia("(max-width: 900px)");
const AROUND = 2500; // UTF-16 units of text shown before and after the mark, and with each "more"
let opener = null;
let view = null; // what is shown
let picture = null;

const path = (rest) => documentPath(view.id, `${rest}${view.version ? `?version=${view.version}` : ""}`);
const isPdf = () => view.boxes.length > 0 || view.document?.media_type === "application/pdf";

function marksOn(number) {
  return view.boxes.filter((box) => box.page === number).map((box) => {
    const mark = element("span", { className: "mark" });
    mark.style.left = `${box.x0 * 100}%`;
    mark.style.top = `${box.y0 * 100}%`;
    mark.style.width = `${(box.x1 - box.x0) * 100}%`;
    mark.style.height = `${(box.y1 - box.y0) * 100}%`;
    return mark;
  });
}

async function pageImage() {
  const number = view.page ?? 1;
  const blob = await (await call("GET", path(`/pages/${number}.png`))).blob();
  URL.revokeObjectURL(picture);
  picture = URL.createObjectURL(blob);
  const marks = marksOn(number);
  const alt = `Page ${number} of ${view.name}${marks.length ? ", with the quoted words marked" : ""}`;
  const image = element("img", { src: picture, alt });
  await image.decode(); // so that it has its height when the mark is scrolled to
  return [element("div", { className: "page" }, image, marks)];
}

async function startOf() {
  if (view.range) return view.range;
  if (view.page === null) return { start: 0, end: 0 };
  const { start } = await getJson(path(`/pages/${view.page}`));
  return { start, end: start };
}

function textWindow(text, start, end) {
  let from = Math.max(0, start - AROUND);
  let to = Math.min(text.length, end + AROUND);
  const before = element("span");
  const after = element("span");
  const show = () => {
    before.textContent = text.slice(from, start).replace(/^[\udc00-\udfff]/, ""); // never half a character
    after.textContent = text.slice(end, to).replace(/[\ud800-\udbff]$/, "");
    earlier.hidden = from === 0;
    later.hidden = to === text.length;
  };
  const earlier = button("Show what is before", () => { from = Math.max(0, from - 4 * AROUND); show(); });
  const later = button("Show more", () => { to = Math.min(text.length, to + 4 * AROUND); show(); });
  show();
  const mark = end > start ? element("mark", { textContent: text.slice(start, end) }) : null;
  return [earlier, element("p", { className: "passage", dir: "auto" }, before, mark, after), later];
}

async function textParts() {
  view.text ??= await (await call("GET", path("/text"))).text();
  const range = await startOf();
  const start = unitOf(view.text, range.start);
  return textWindow(view.text, start, unitOf(view.text, range.end - range.start, start));
}

function turnTo(number) {
  view.page = number;
  if (view.linked) history.replaceState(null, "", `#/doc/${encodeURIComponent(view.id)}/page/${number}`);
  render();
}

function pageButtons() {
  const number = view.page ?? 1;
  const last = view.document?.n_pages ?? null;
  const to = (step, symbol, name) => {
    const node = button("", () => turnTo(number + step), { symbol, className: "icon", name });
    node.disabled = step < 0 ? number <= 1 : last !== null && number >= last;
    return node;
  };
  return element("div", { className: "turner" }, to(-1, "back", "Page before"),
    element("span", { textContent: `Page ${number}${last ? ` of ${last}` : ""}` }), to(1, "forth", "Next page"));
}

function switchTo(kind, label) {
  const node = button(label, () => { view.kind = kind; render(); document.getElementById(`source-as-${kind}`)?.focus(); }, { className: "segment" });
  node.setAttribute("aria-pressed", String(view.kind === kind));
  node.id = `source-as-${kind}`;
  return node;
}

function renderHead() {
  const tools = element("div", { className: "row tools" });
  if (isPdf()) {
    tools.append(element("div", { className: "switch", role: "group", "aria-label": "Show as" }, switchTo("page", "Page"), switchTo("text", "Text")));
    if (view.kind === "page") {
      const zoom = button(body.classList.contains("large") ? "Smaller" : "Larger", () => { body.classList.toggle("large"); renderHead(); toMark(); });
      tools.append(pageButtons(), zoom);
    }
  }
  const address = `#/doc/${encodeURIComponent(view.id)}${view.page ? `/page/${view.page}` : ""}`;
  if (!view.linked) tools.append(element("a", { className: "quiet", href: address }, icon("link"), "Open the document"));
  tools.append(button("Download", () => download(path("/content"), view.name).catch(fail), { symbol: "load" }));
  head.replaceChildren(...[
    element("p", { id: "source-place" }, element("strong", {}, element("bdi", { textContent: view.name })), view.place ? `, ${view.place}` : "", view.heading ? element("span", { className: "meta", textContent: ` ${isolated(view.heading)}` }) : null),
    view.quote ? element("blockquote", { id: "source-quote", textContent: view.quote, dir: "auto" }) : null,
    view.redacted ? element("p", { className: "note", textContent: "This document was deleted." }) : null,
    tools,
  ].filter(Boolean));
}

const fail = (error) => body.replaceChildren(element("p", { className: "bad", textContent: error.message }));

function toMark() {
  const mark = body.querySelector("mark, .mark");
  if (!mark) { body.scrollTop = 0; return; }
  const at = mark.getBoundingClientRect();
  const frame = body.getBoundingClientRect();
  body.scrollTop += at.top - frame.top - frame.height * 0.35;
  body.scrollLeft += at.left - frame.left - 24;
}

async function render() {
  const wanted = view;
  const hadFocus = head.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  renderHead();
  if (hadFocus) ([...head.querySelectorAll("button:enabled")].find((node) => node.getAttribute("aria-label") === hadFocus) ?? body).focus();
  body.setAttribute("aria-busy", "true");
  const { kind, page } = wanted;
  let parts;
  try {
    parts = kind === "page" ? await pageImage() : await textParts();
  } catch (error) {
    const gone = error.status === 404 ? "There is nothing here any more: the document, this version or this page does not exist." : error.message;
    parts = [element("p", { className: "bad", textContent: gone })];
  }
  if (view !== wanted || view.kind !== kind || view.page !== page) return; // another was opened meanwhile, or it was closed
  body.removeAttribute("aria-busy");
  body.replaceChildren(...parts);
  body.scrollLeft = body.scrollTop = 0;
  toMark();
}

// On a narrow screen the source covers the page, so what it covers cannot be reached.
function cover() {
  for (const other of document.querySelectorAll("#skip, #top, #main > section")) other.inert = narrow.matches && !panel.hidden;
}

async function open(wanted, from) {
  opener = from;
  view = wanted;
  panel.hidden = false;
  main.classList.add("with-source");
  cover();
  for (const old of document.querySelectorAll("[aria-current=true]")) old.removeAttribute("aria-current");
  if (from?.classList.contains("chip")) from.setAttribute("aria-current", "true");
  body.replaceChildren(element("p", { className: "meta", textContent: "Opening …" }));
  renderHead();
  document.getElementById("source-title").focus({ preventScroll: true });
  try {
    const found = await getJson(documentPath(wanted.id));
    if (view !== wanted) return;
    view.document = found;
    view.name ??= found.name;
    view.kind ??= isPdf() ? "page" : "text";
    if (isPdf() && view.page === null) view.page = 1;
  } catch (error) {
    if (view !== wanted) return;
    view.name ??= "A document";
    view.redacted = error.status === 404;
    renderHead();
    fail(error.status === 404 ? new Error("This document does not exist; it may have been deleted.") : error);
    return;
  }
  render();
}

export function openCitation(citation, from) {
  const page = citation.boxes[0]?.page ?? citation.page?.start ?? null;
  open({
    id: citation.document_id, version: citation.document_version, name: citation.document_name, page, quote: citation.quote,
    place: citation.page && pages(citation.page), range: citation.char_range, boxes: citation.boxes, kind: citation.boxes.length ? "page" : null,
  }, from);
}

export function openHit(hit, from) {
  open({
    id: hit.document_id, version: hit.document_version, name: hit.document_name, page: hit.page?.start ?? null, quote: null, heading: hit.heading,
    place: hit.page && pages(hit.page), range: hit.char_range, boxes: [], kind: "text",
  }, from);
}

export function openDocument(id, page) {
  const known = Number.isInteger(page) && page > 0 ? page : null;
  if (view?.linked && view.id === id && view.page === (known ?? view.page)) return;
  open({ id, version: null, name: null, page: known, quote: null, place: null, range: null, boxes: [], kind: null, linked: true }, null);
}

export function close({ quietly = false } = {}) {
  if (panel.hidden) return;
  const linked = view?.linked;
  panel.hidden = true;
  view = null;
  main.classList.remove("with-source");
  for (const old of document.querySelectorAll(".chip[aria-current]")) old.removeAttribute("aria-current");
  cover();
  body.replaceChildren();
  head.replaceChildren();
  URL.revokeObjectURL(picture);
  if (quietly) return;
  if (linked) history.replaceState(null, "", "#/library");
  const back = opener?.isConnected ? opener : document.querySelector(".view:not([hidden]) h2");
  back?.focus();
}

// Nothing on the page shows a document that was deleted.
export function forget(documentId) {
  if (view?.id === documentId) close();
}

export function start() {
  document.getElementById("close-source").addEventListener("click", () => close());
  narrow.addEventListener("change", cover);
}
