"use strict";
// Builds elements; every string becomes a text node or a plain property, never markup.
function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

// A name in either writing direction, kept from turning the words around it.
const isolated = (text) => element("bdi", {}, text);

const hiddenWords = (text) => element("span", { className: "hidden-words" }, text);

const VERDICTS = {
  supported: ["✓", "supported"], contradicted: ["✗", "contradicted"], unsupported: ["?", "unsupported"], unjudged: ["–", "not judged"],
};
const OUTCOMES = {
  correct: ["good", "✓ correct"], wrong: ["bad", "✗ wrong"], abstained: ["mute", "– abstained"],
  right_abstention: ["good", "✓ rightly abstained"], false_confidence: ["bad", "✗ false confidence"],
};
const spaced = (key) => key.replaceAll("_", " ");
const percent = (value) => `${(100 * value).toFixed(0)}\u202f%`;
const counted = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

// Offsets count code points; JavaScript strings count UTF-16 units. Gives the unit of each offset, in one walk.
function unitsOf(text, offsets) {
  const sorted = [...new Set(offsets)].sort((a, b) => a - b);
  const units = new Map();
  let unit = 0;
  let point = 0;
  for (const offset of sorted) {
    for (; point < offset && unit < text.length; point += 1) unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
    units.set(offset, unit);
  }
  return units;
}

function placeWords(quote) {
  if (!quote.first_page) return "";
  return quote.last_page && quote.last_page !== quote.first_page ? `pages ${quote.first_page}–${quote.last_page}` : `page ${quote.first_page}`;
}

// Where the service itself serves this page, documents have addresses; in a file on its own, or in a frame that may
// open nothing, they have only names.
const SANDBOXED = window.origin === "null";
const SERVED = location.protocol.startsWith("http") && !(SANDBOXED && window !== window.top);
const SERVICE = SERVED ? /^(.*\/v1\/)comparisons\//.exec(location.pathname) : null;

function addressOf(quote) {
  if (!SERVICE || !quote.document_id) return null;
  const version = quote.document_version ? `?version=${quote.document_version}` : "";
  const id = encodeURIComponent(quote.document_id);
  return quote.first_page ? `${SERVICE[1]}documents/${id}/pages/${quote.first_page}.png${version}` : `${SERVICE[1]}documents/${id}/text${version}`;
}
