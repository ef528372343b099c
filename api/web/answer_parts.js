// What stands under an answer: how sure it is, what was found, what was cut, what was taken out, and what can be done.
import { button, count, element, icon, percent, place, say, seconds, sentence } from "/static/element.js";
import { answerText, sourceList, VERDICTS, withSources } from "/static/answer_text.js";
import { openHit } from "/static/source.js";

const GONE = "The text of this answer was removed together with a document that it quoted.";
const CUT = {
  budget: "cut: it did not fit into the prompt",
  duplicate: "cut: another passage says the same",
  redacted: "its document was deleted",
};

function meter(label, value, shown) {
  const bar = element("span", { className: "meter", "aria-hidden": "true" }, element("i"));
  bar.firstChild.style.width = `${Math.round((value ?? 0) * 100)}%`;
  return element("div", { className: "figure" }, element("span", { textContent: label }), value === null ? null : bar, element("strong", { textContent: shown }));
}

function figures(answer) {
  const n = { supported: 0, contradicted: 0, unsupported: 0 };
  for (const claim of answer.claims) n[claim.verdict] += 1;
  const total = answer.claims.length;
  const rows = [];
  if (total) {
    rows.push(element("ul", { className: "tally", "aria-label": "Verdicts" }, Object.keys(n).filter((name) => n[name]).map((name) =>
      element("li", { className: name }, icon(name), `${n[name]} of ${total} ${name}`))));
  }
  if (answer.confidence !== null) rows.push(meter("Confidence", answer.confidence, percent(answer.confidence)));
  return rows.length ? element("div", { className: "figures" }, rows) : null;
}

function hitRow(hit, answer) {
  const reason = answer.dropped.find((item) => item.passage_id === hit.passage_id)?.reason;
  const markers = [...new Set(answer.citations.filter((item) => item.passage_id === hit.passage_id).map((item) => item.marker))];
  const scores = [["meaning", hit.scores.dense, 2], ["words", hit.scores.lexical, 1]].filter(([, value]) => value !== null)
    .map(([name, value, digits]) => `${name} ${value.toFixed(digits)}`).join(" · ");
  const row = element("li", { className: reason ? "hit cut" : "hit", data: { document: hit.document_id } },
    element("div", { className: "hit-head" },
      element("strong", { textContent: place(hit), dir: "auto" }),
      markers.length ? element("span", { className: "tag cited", textContent: `cited as ${markers.join(", ")}` }) : null,
      reason ? element("span", { className: "tag", textContent: CUT[reason] ?? reason }) : null,
      element("span", { className: "meta", textContent: scores })),
    hit.heading ? element("p", { className: "meta", textContent: hit.heading, dir: "auto" }) : null,
    element("p", { className: "hit-text", textContent: (hit.text ?? "Deleted.").replace(/\n{2,}/g, "\n"), dir: "auto" }));
  if (hit.text !== null) row.append(button("Open", (event) => openHit(hit, event.currentTarget), { symbol: "file", name: `Open passage ${hit.rank}: ${place(hit)}` }));
  return row;
}

function found(answer) {
  if (!answer.retrieved.length) return null;
  const n_cut = answer.dropped.length;
  const title = `${answer.abstained ? "The nearest passages" : "What was found"}: ${count(answer.retrieved.length, "passage")}${n_cut ? `, ${n_cut} cut` : ""}`;
  return element("details", { open: answer.abstained, className: "found" }, element("summary", { textContent: title }),
    element("ol", { className: "hits" }, answer.retrieved.map((hit) => hitRow(hit, answer))));
}

function removed(answer) {
  if (!answer.removed.length) return null;
  return element("details", { open: answer.abstained }, element("summary", { textContent: `Left out: ${count(answer.removed.length, "sentence")}` }),
    element("ul", { className: "removed" }, answer.removed.map((item) => element("li", {},
      element("s", { textContent: item.text ?? "deleted", dir: "auto" }),
      element("p", { className: `meta ${item.verdict}` }, icon(item.verdict), `${VERDICTS[item.verdict]}${item.reason ? `: ${item.reason}` : ""}`)))));
}

function abstention(answer) {
  let why = `${count(answer.retrieved.length - answer.dropped.length, "passage")} of “${answer.collection}” were read, and none of them supports an answer. The nearest stand below.`;
  if (answer.mode === "closed_book") why = "The model was shown nothing and says that it does not know.";
  else if (!answer.retrieved.length) why = `Nothing was found in “${answer.collection}”. See in the library whether its documents are ready, or choose another collection.`;
  else if (answer.removed.length) why = "The model wrote something, but the documents do not support it, so it was left out.";
  else if (answer.confidence !== null) why = `The model wrote something that the passages do not support well enough (confidence ${percent(answer.confidence)}), so it is not shown. The nearest passages stand below.`;
  return element("div", { className: "abstained" }, icon("unsupported"),
    element("div", {}, element("p", { className: "text", textContent: answer.text, dir: "auto" }), element("p", { className: "meta", textContent: why })));
}

function notes(answer) {
  const lines = [];
  if (answer.stale) lines.push("A cited document was replaced or deleted since; the quotes are of the version that was read.");
  if (answer.invalid_markers.length) lines.push(`The model also pointed to ${answer.invalid_markers.map((n) => `[${n}]`).join(", ")}, which does not exist; that was taken out.`);
  const away = answer.claims.filter((claim) => claim.elsewhere !== null).length;
  if (away) lines.push(`${count(away, "claim")} ${away === 1 ? "is" : "are"} supported by a passage that was not among those read; ask for more passages in Options.`);
  return lines.map((line) => element("p", { className: "note", textContent: line }));
}

function costs(answer) {
  const parts = [answer.model ? `${answer.model.name} on ${answer.model.device}` : "no model was needed", seconds(answer.timings.total_seconds)];
  if (answer.usage.completion_tokens) parts.push(`${answer.usage.prompt_tokens} tokens read, ${answer.usage.completion_tokens} written`);
  return element("p", { className: "meta costs", textContent: parts.join(" · ") });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch { // no clipboard without a secure address: select it for the person
    const area = element("textarea", { value: text, className: "sr" });
    document.body.append(area);
    area.select();
    say(document.execCommand("copy") ? "Copied." : sentence("this browser does not let the page copy"));
    area.remove();
  }
}

function actions(answer, follow) {
  const row = element("div", { className: "row actions" });
  row.append(button(answer.citations.length ? "Copy with citations" : "Copy", () => copy(withSources(answer)), { symbol: "copy" }));
  if (answer.model) row.append(element("a", { className: "quiet", href: `#/inspect/${encodeURIComponent(answer.answer_id)}` }, icon("look"), "Look inside"));
  row.append(button("Copy link", () => copy(`${location.origin}/#/ask/${encodeURIComponent(answer.answer_id)}`), { symbol: "link" }));
  if (follow) row.append(button("Follow up", follow, { symbol: "follow" }));
  return row;
}

// The whole of a finished answer.
export function answerBody(answer, follow) {
  if (answer.text === null) return [element("p", { className: "note", textContent: GONE }), found(answer)].filter(Boolean);
  const text = answer.abstained ? abstention(answer) : element("p", { className: "text", dir: "auto" }, answerText(answer));
  return [text, answer.citations.length ? sourceList(answer) : null, figures(answer), ...notes(answer), removed(answer), found(answer), actions(answer, follow), costs(answer)].filter(Boolean);
}

// One line for a screen reader.
export function summary(answer) {
  if (answer.abstained) return answer.text;
  const n = answer.claims.filter((claim) => claim.verdict === "supported").length;
  return `Answered${answer.citations.length ? ` with ${count(answer.citations.length, "citation")}` : ""}${answer.claims.length ? `; ${n} of ${count(answer.claims.length, "claim")} supported` : ""}.`;
}
