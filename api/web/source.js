import { call } from "/static/api.js";
import { element, unitOf } from "/static/element.js";

const panel = document.getElementById("source");
const body = document.getElementById("source-body");
const narrow = matchMedia("(max-width: 900px)");
const AROUND = 600; // UTF-16 units shown before and after the quote
let opener = null;
let current = null;
let pictures = [];

const path = (citation, what) =>
  `/v1/documents/${encodeURIComponent(citation.document_id)}/${what}?version=${citation.document_version}`;

async function pageImage(citation, number) {
  const picture = URL.createObjectURL(await (await call("GET", path(citation, `pages/${number}.png`))).blob());
  pictures.push(picture);
  const image = element("img", { src: picture, alt: `Page ${number} of ${citation.document_name}` });
  await image.decode(); // so that it has its height when the mark is scrolled to
  const page = element("div", { className: "page" }, image);
  for (const box of citation.boxes.filter((item) => item.page === number)) {
    const mark = element("span");
    mark.style.left = `${box.x0 * 100}%`;
    mark.style.top = `${box.y0 * 100}%`;
    mark.style.width = `${(box.x1 - box.x0) * 100}%`;
    mark.style.height = `${(box.y1 - box.y0) * 100}%`;
    page.append(mark);
  }
  return page;
}

async function textAround(citation) {
  const text = await (await call("GET", path(citation, "text"))).text();
  const start = unitOf(text, citation.char_range.start);
  const end = unitOf(text, citation.char_range.end - citation.char_range.start, start);
  return element("p", { className: "passage", dir: "auto" },
    text.slice(Math.max(0, start - AROUND), start).replace(/^[\udc00-\udfff]/, ""), // never half a character
    element("mark", { textContent: text.slice(start, end) }),
    text.slice(end, end + AROUND).replace(/[\ud800-\udbff]$/, ""));
}

// On a narrow screen the source covers the page, so what it covers cannot be reached.
function cover() {
  for (const other of document.querySelectorAll(".skip, header, main > section")) other.inert = narrow.matches && !panel.hidden;
}

function discard(urls) {
  for (const url of urls) URL.revokeObjectURL(url);
}

export async function openSource(citation, place, from) {
  opener = from;
  current = citation;
  panel.hidden = false;
  document.querySelector("main").classList.add("with-source");
  cover();
  document.getElementById("source-place").textContent = place;
  document.getElementById("source-quote").textContent = citation.quote;
  body.replaceChildren(element("p", { className: "meta", textContent: "Opening …" }));
  document.getElementById("close-source").focus();
  discard(pictures.splice(0));
  let parts;
  try {
    const pages = [...new Set(citation.boxes.map((box) => box.page))];
    parts = pages.length ? await Promise.all(pages.map((number) => pageImage(citation, number))) : [await textAround(citation)];
  } catch (error) {
    parts = [element("p", { className: "failed", textContent: error.message })];
  }
  if (current !== citation) return; // another was opened meanwhile, or it was closed
  body.replaceChildren(...parts);
  panel.scrollTop = 0;
  const mark = body.querySelector("mark, .page span")?.getBoundingClientRect();
  if (!mark) return;
  const frame = panel.getBoundingClientRect();
  panel.scrollTop = mark.top - frame.top - frame.height * 0.6;
  body.scrollLeft = mark.left - body.getBoundingClientRect().left - 16;
}

function close() {
  if (panel.hidden) return;
  panel.hidden = true;
  current = null;
  document.querySelector("main").classList.remove("with-source");
  cover();
  body.replaceChildren();
  discard(pictures.splice(0));
  (opener?.isConnected ? opener : document.getElementById("question")).focus();
}

// Nothing on the page shows a document that was deleted.
export function forget(documentId) {
  if (current?.document_id === documentId) close();
}

export function start() {
  document.getElementById("close-source").addEventListener("click", close);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) close();
  });
  narrow.addEventListener("change", cover);
}
