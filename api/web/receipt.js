// What ingest made of a file, in words.
import { count, element, sentence } from "/static/element.js";

const SHOWN = 6; // page numbers named before "and N more"
const FLAGS = {
  image_only: ["has no text; it is an image", "have no text; they are images"],
  no_text: ["has no text", "have no text"],
  unreadable: ["cannot be read", "cannot be read"],
  rotated: ["has turned text, which was read in its direction", "have turned text, which was read in its direction"],
  repaired: ["was damaged and read as far as possible", "were damaged and read as far as possible"],
  instructions: ["has text that speaks to a language model; it is treated as plain text", "have text that speaks to a language model; it is treated as plain text"],
};

const TOLD = ["image_only", "unreadable", "repaired", "instructions"]; // the service's own warnings speak of these

function named(numbers) {
  const shown = numbers.length > SHOWN ? [...numbers.slice(0, SHOWN - 1), `${numbers.length - SHOWN + 1} more`] : numbers;
  return shown.length === 1 ? `page ${shown[0]}` : `pages ${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

function flagLines(rows, warned) {
  const by = new Map();
  for (const row of rows) for (const flag of row.flags) by.set(flag, [...(by.get(flag) ?? []), row.page]);
  if (by.has("image_only")) by.delete("no_text");
  return [...by].filter(([flag]) => !(warned && TOLD.includes(flag))).map(([flag, numbers]) => {
    const words = FLAGS[flag] ?? [`is marked “${flag}”`, `are marked “${flag}”`];
    if (numbers[0] === null) return sentence(`the document ${words[0]}`);
    return sentence(`${named(numbers)} ${words[numbers.length === 1 ? 0 : 1]}`);
  });
}

// Whether a person should look at the receipt.
export const isClean = (receipt) => !receipt || (!receipt.warnings.length && !receipt.n_truncated_passages && receipt.pages.every((row) => !row.flags.length));

export function receiptLines(receipt) {
  if (!receipt) return [];
  const n_chars = receipt.pages.reduce((sum, row) => sum + row.n_chars, 0);
  const n_ocr = receipt.pages.filter((row) => row.ocr).length;
  const lines = [`${count(n_chars, "character")} of text were read.`];
  if (receipt.encoding) lines.push(`The file's encoding is ${receipt.encoding}.`);
  if (n_ocr) lines.push(`${count(n_ocr, "page")} read by text recognition.`);
  if (receipt.n_truncated_passages) lines.push(`${count(receipt.n_truncated_passages, "passage")} longer than the embedder reads; their end is found by words only.`);
  return [...lines, ...flagLines(receipt.pages, receipt.warnings.length > 0), ...receipt.warnings];
}

// One bar a page, as high as it has text, marked where something is to be said.
export function pageStrip(receipt) {
  const rows = receipt?.pages ?? [];
  if (rows.length < 2 || rows.length > 400) return null;
  const most = Math.max(...rows.map((row) => row.n_chars), 1);
  return element("div", { className: "strip", "aria-hidden": "true" }, rows.map((row) => {
    const bar = element("i", { className: row.flags.length ? "flagged" : "", title: `Page ${row.page}: ${count(row.n_chars, "character")}` });
    bar.style.height = `${Math.max(8, Math.round((100 * row.n_chars) / most))}%`;
    return bar;
  }));
}
