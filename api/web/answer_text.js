// The text of an answer: each claim with its verdict, each marker as a chip that shows and opens its quote.
import { button, countPoints, element, icon, percent, place } from "/static/element.js";
import { peekAt } from "/static/peek.js";
import { openCitation } from "/static/source.js";

export const VERDICTS = {
  supported: "Supported by the documents",
  contradicted: "Contradicted by the documents",
  unsupported: "Not supported by what was read",
};

function chip(citation) {
  const node = element("button", {
    type: "button", className: "chip", textContent: citation.marker, data: { document: citation.document_id },
    "aria-label": `Source ${citation.marker}: ${place(citation)}`,
  });
  node.addEventListener("click", () => openCitation(citation, node));
  return peekAt(node, () => [
    element("p", { className: "peek-place", textContent: place(citation), dir: "auto" }),
    element("blockquote", { textContent: citation.quote ?? "The document was deleted.", dir: "auto" }),
    citation.support && element("p", { className: "meta", textContent: `${VERDICTS[citation.support.label]}, ${percent(citation.support.score)}` }),
  ].filter(Boolean));
}

// A marker of a sentence stands for each quote n of the sentence that it follows.
function quotesOf(citations, marker, at) {
  const own = citations.filter((item) => item.marker === marker && item.answer_span.end <= at);
  const nearest = Math.max(...own.map((item) => item.answer_span.end));
  return own.filter((item) => item.answer_span.end === nearest);
}

function withChips(text, offset, citations) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(/\s?\[(\d+)\]/g)) {
    const own = quotesOf(citations, Number(found[1]), offset + countPoints(text.slice(0, found.index)));
    if (!own.length) continue;
    nodes.push(text.slice(from, found.index), ...own.map(chip));
    from = found.index + found[0].length;
  }
  return [...nodes, text.slice(from)];
}

function badge(claim, answer) {
  const said = `${VERDICTS[claim.verdict]}, ${percent(claim.score)}`;
  const node = element("button", { type: "button", className: `verdict ${claim.verdict}`, "aria-label": said }, icon(claim.verdict));
  const more = () => {
    const why = claim.reasons?.length ? element("p", { textContent: claim.reasons.join("; "), dir: "auto" }) : null;
    const read = answer.retrieved.find((hit) => hit.passage_id === claim.passage_id);
    const against = claim.verdict === "contradicted" && read
      ? element("blockquote", { textContent: read.text ?? "", dir: "auto" }) : null;
    const elsewhere = claim.elsewhere !== null
      ? element("p", { textContent: "Another passage of this collection says so, but it was not among those that were read." }) : null;
    return [element("p", { className: `peek-place ${claim.verdict}` }, icon(claim.verdict), said), why, against, elsewhere].filter(Boolean);
  };
  return peekAt(node, more);
}

// Everything between two claims up to the first space: markers and the full stop, which belong to the claim before.
const BELONGS = /^(?:\s?\[\d+\]|[^\s[])*/;

export function answerText(answer) {
  const points = Array.from(answer.text);
  const cut = (start, end) => points.slice(start, end).join("");
  const nodes = [];
  let at = 0;
  const plain = (end) => { nodes.push(...withChips(cut(at, end), at, answer.citations)); at = end; };
  const claims = answer.claims.filter((claim) => claim.end <= points.length).sort((a, b) => a.start - b.start);
  claims.forEach((claim, index) => {
    if (claim.start < at) return;
    plain(claim.start);
    const marked = withChips(cut(claim.start, claim.end), claim.start, answer.citations);
    at = claim.end;
    const next = claims[index + 1]?.start ?? points.length;
    const tail = cut(at, next).match(BELONGS)[0];
    nodes.push(element("span", { className: `claim ${claim.verdict}` }, marked));
    plain(at + countPoints(tail));
    nodes.push(badge(claim, answer));
  });
  plain(points.length);
  return nodes.filter((node) => node !== "");
}

// The draft while it is written: markers look like chips and lead nowhere yet.
export function draftText(text) {
  return text.split(/(\[\d+\])/).filter(Boolean).map((part) =>
    (/^\[\d+\]$/.test(part) ? element("span", { className: "chip ghost", textContent: part.slice(1, -1) }) : part));
}

// What "Copy" puts on the clipboard: the text, then each source once.
export function withSources(answer) {
  const seen = new Set();
  const sources = [];
  for (const citation of answer.citations) {
    const line = `[${citation.marker}] ${place(citation)}: “${citation.quote ?? ""}”`.replace(/[\u2068\u2069]/g, "");
    if (!seen.has(line)) sources.push(line);
    seen.add(line);
  }
  return sources.length ? `${answer.text}\n\n${sources.join("\n")}` : answer.text;
}

export function sourceList(answer) {
  const seen = new Set();
  const first = answer.citations.filter(({ marker, quote }) => { // a quote that serves two sentences is listed once
    const key = `${marker} ${quote}`;
    return !seen.has(key) && seen.add(key);
  });
  return element("ol", { className: "sources" }, first.map((citation) => {
    const open = button("", (event) => openCitation(citation, event.currentTarget), { className: "source-line", name: `Open source ${citation.marker}: ${place(citation)}` });
    open.append(element("span", { className: "chip", textContent: citation.marker, "aria-hidden": "true" }),
      element("span", { className: "where" }, element("bdi", { textContent: citation.document_name ?? "deleted document" }),
        citation.page ? ` · ${citation.page.end > citation.page.start ? `pages ${citation.page.start}–${citation.page.end}` : `page ${citation.page.start}`}` : ""),
      element("q", { textContent: citation.quote ?? "", dir: "auto" }));
    open.dataset.document = citation.document_id;
    return element("li", {}, open);
  }));
}

