// Builds elements; every string becomes a text node, never markup.
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name === "data") Object.assign(node.dataset, value);
    else if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  supported: "M5 12.5 10 17.5 19 7.5",
  contradicted: "M6 6l12 12M18 6 6 18",
  unsupported: "M8.5 9a3.5 3.5 0 1 1 5 3.200c-1 .6-1.5 1.300-1.5 2.600M12 18.500v.01",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  look: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15.5 15.5 21 21",
  follow: "M5 5v7h13M14 8l4 4-4 4",
  back: "M15 5l-7 7 7 7",
  forth: "M9 5l7 7-7 7",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  load: "M12 4v11M7 11l5 5 5-5M5 20h14",
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

export function button(label, run, { symbol = null, className = "quiet", name = null } = {}) {
  const node = element("button", { type: "button", className, "aria-label": name }, symbol && icon(symbol), label);
  node.addEventListener("click", run);
  return node;
}

// A name in either writing direction, kept from turning the words around it (Unicode's first strong isolate).
export const isolated = (text) => `\u2068${text}\u2069`;

export const count = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
export const percent = (share) => `${Math.round(share * 100)} %`;
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".") : "");

export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(bytes / 1000 ** power < 10 ? 1 : 0)} ${["B", "kB", "MB", "GB"][power]}`;
}

// A duration a person reads: under a minute with one decimal, then minutes and seconds.
export function seconds(value) {
  if (value < 59.95) return `${value.toFixed(1)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

// Offsets from the service count code points; JavaScript strings count UTF-16 units.
export const countPoints = (text) => Array.from(text).length;

export function unitOf(text, point, from = 0) {
  let unit = from;
  for (let left = point; left > 0 && unit < text.length; left -= 1) unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  return unit;
}

export function place({ document_name: name, page }) {
  const named = name === null ? "a deleted document" : isolated(name);
  return page ? `${named}, ${pages(page)}` : named;
}

export const pages = ({ start, end }) => (end > start ? `pages ${start}–${end}` : `page ${start}`);

let silence;
export function say(text) {
  const line = document.getElementById("said");
  line.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { line.textContent = ""; }, 4000);
}

// Asks in a dialog; resolves to whether the person chose `yes`.
export function decide(id) {
  const dialog = document.getElementById(id);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

export function sure(text, yes = "Delete") {
  document.getElementById("sure-text").textContent = text;
  document.getElementById("sure-yes").textContent = yes;
  return decide("sure-dialog");
}
