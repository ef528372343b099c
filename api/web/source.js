import { call } from "/static/api.js";
import { codePoints, element } from "/static/element.js";

const panel = document.getElementById("source");
const body = document.getElementById("source-body");
const AROUND = 600; // code points shown before and after the quote
let opener = null;
let picture = null;

async function pageImage(citation, number) {
  const path = `/v1/documents/${encodeURIComponent(citation.document_id)}/pages/${number}.png?version=${citation.document_version}`;
  URL.revokeObjectURL(picture);
  picture = URL.createObjectURL(await (await call("GET", path)).blob());
  const page = element("div", { className: "page" }, element("img", { src: picture, alt: `Page ${number} of ${citation.document_name}` }));
  for (const box of citation.boxes.filter((box) => box.page === number)) {
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
  const path = `/v1/documents/${encodeURIComponent(citation.document_id)}/text?version=${citation.document_version}`;
  const points = codePoints(await (await call("GET", path)).text());
  const { start, end } = citation.char_range;
  const cut = (from, to) => points.slice(Math.max(0, from), to).join("");
  return element("p", { className: "passage", dir: "auto" },
    cut(start - AROUND, start), element("mark", { textContent: cut(start, end) }), cut(end, end + AROUND));
}

export async function openSource(citation, place, from) {
  opener = from;
  panel.hidden = false;
  document.querySelector("main").classList.add("with-source");
  document.getElementById("source-place").textContent = place;
  document.getElementById("source-quote").textContent = citation.quote;
  body.replaceChildren(element("p", { className: "meta", textContent: "Opening …" }));
  document.getElementById("close-source").focus();
  try {
    const shown = citation.boxes.length ? await pageImage(citation, citation.boxes[0].page) : await textAround(citation);
    body.replaceChildren(shown);
    body.querySelector("mark, .page span")?.scrollIntoView({ block: "center" });
  } catch (error) {
    body.replaceChildren(element("p", { className: "failed", textContent: error.message }));
  }
}

function close() {
  panel.hidden = true;
  document.querySelector("main").classList.remove("with-source");
  opener?.focus();
}

export function start() {
  document.getElementById("close-source").addEventListener("click", close);
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
}
