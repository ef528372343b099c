// One case: the question, and the answers of all systems side by side, each claim leading to its quote.
function caseCard(item, number, systems) {
  const about = [`case ${item.id}`, item.answerable ? "answerable" : "unanswerable", item.drafted ? "drafted by machine" : ""];
  const meta = element("p", { className: "meta" }, ...about.filter(Boolean).map((words) => element("span", {}, isolated(words))));
  if (item.document) meta.append(element("span", {}, isolated(item.document)));
  item.transitions.forEach((change, index) => {
    if (change && index > 0) meta.append(element("span", {}, isolated(systems[index]), `: ${spaced(change)}`));
  });
  const answers = element("div", { className: "answers" });
  item.answers.forEach((answer, index) => answers.append(answerBlock(answer, systems[index], index, `c${number}-${index}`)));
  const references = item.reference_answers
    ? element("p", { className: "references", dir: "auto" }, "Reference: ", ...joined(item.reference_answers))
    : null;
  const title = element("h3", { id: `c${number}`, dir: "auto", tabIndex: -1 }, item.question);
  const card = element("article", { className: "case" }, meta, title, references, answers);
  card.setAttribute("aria-labelledby", title.id);
  return card;
}

function joined(texts) {
  return [...new Set(texts)].flatMap((text, index) => [index ? " · " : "", element("b", {}, isolated(text))]);
}

function answerBlock(answer, system, index, key) {
  const block = element("section", { className: `answer s${index % 6}` });
  const [kind, words] = OUTCOMES[answer && answer.outcome] || ["none", "not scored"];
  block.append(element("h4", {}, isolated(system), element("span", { className: `outcome-tag ${kind}` }, words)));
  if (!answer) return block.append(element("p", { className: "text quiet" }, "No answer in this run.")), block;
  if (answer.failure) return block.append(element("p", { className: "text quiet" }, `Failed: ${answer.failure}`)), block;
  if (answer.text === undefined) return block.append(element("p", { className: "text quiet" }, "Text removed with its document.")), block;
  const claims = answer.claims || [];
  block.append(element("p", { className: "text", dir: "auto" }, ...(answer.text ? markedText(answer, claims, key) : [element("i", {}, "(empty)")])));
  if (claims.length) block.append(claimList(claims, answer, key));
  if (answer.citations) block.append(citationList(answer.citations, key));
  block.append(element("p", { className: "counts" }, factsOf(answer).join(" · ")));
  return block;
}

// The answer's text cut at the edges of its claims. Where claims overlap, the earlier one keeps its words.
function markedText(answer, claims, key) {
  const text = answer.text;
  const units = unitsOf(text, claims.flatMap((claim) => (claim.start === undefined ? [] : [claim.start, claim.end])));
  const placed = claims.map((claim, index) => ({ claim, index, start: units.get(claim.start), end: units.get(claim.end) }))
    .filter((item) => item.start !== undefined && item.end > item.start).sort((a, b) => a.start - b.start || a.index - b.index);
  const parts = [];
  let at = 0;
  for (const { claim, index, start, end } of placed) {
    const from = Math.max(start, at);
    if (from > at) parts.push(...withMarkers(text.slice(at, from), answer, key));
    const kind = claim.verdict || "unjudged";
    if (end > from) parts.push(element("span", { className: `claim ${kind}` }, ...withMarkers(text.slice(from, end), answer, key)));
    parts.push(claimChip(kind, index, key));
    at = Math.max(at, end);
  }
  return [...parts, ...withMarkers(text.slice(at), answer, key)];
}

function claimChip(kind, index, key) {
  const [icon, words] = VERDICTS[kind];
  const spoken = kind === "supported" ? hiddenWords(` ${words}`) : ` ${words}`;
  const chip = element("a", { className: `chip ${kind}`, href: `#${key}-claim-${index}` }, `${icon} ${index + 1}`, spoken);
  return chip;
}

// Markers like [2] lead to their citation; one that points nowhere is struck through.
function withMarkers(text, answer, key) {
  const known = new Set((answer.citations || []).map((citation) => citation.marker));
  const broken = new Set(answer.invalid_markers || []);
  return text.split(/(\[\d{1,4}\])/).filter(Boolean).map((piece) => {
    const found = /^\[(\d+)\]$/.exec(piece);
    const marker = found ? Number(found[1]) : 0;
    if (known.has(marker)) return element("a", { className: "chip citation", href: `#${key}-cite-${marker}` }, piece);
    if (found && broken.has(marker)) return element("span", { className: "chip broken", title: "This marker names no passage." }, piece, hiddenWords(" names no passage"));
    return piece;
  });
}

function claimList(claims, answer, key) {
  const list = element("ol", { className: "claims" });
  claims.forEach((claim, index) => {
    const kind = claim.verdict || "unjudged";
    const [icon, words] = VERDICTS[kind];
    const head = element("p", {}, element("span", { className: `chip ${kind}` }, `${icon} ${index + 1} ${words}`), ` ${howOf(claim)}`);
    const row = element("li", { id: `${key}-claim-${index}`, tabIndex: -1 }, head);
    if (claim.start === undefined && claim.text) row.append(element("p", { dir: "auto" }, claim.text));
    if (claim.quote) row.append(...quoteParts(claim.quote));
    for (const reason of claim.reasons || []) row.append(element("p", { className: "why" }, reason));
    list.append(row);
  });
  return list;
}

function howOf(claim) {
  const words = [];
  if (claim.decided_by === "person") words.push("by a person");
  else if (claim.score !== undefined) words.push(`score ${claim.score.toFixed(2)}`);
  if (claim.where) words.push(claim.where === "elsewhere" ? "supported elsewhere in the corpus" : "nowhere in the corpus");
  if (claim.shown_verdict && claim.shown_verdict !== claim.verdict) words.push(`by what the system was shown: ${claim.shown_verdict}`);
  return words.join(", ");
}

function quoteParts(quote) {
  const text = quote.text === undefined ? element("p", { className: "why" }, "Quote removed with its document.") : element("blockquote", { dir: "auto" }, quote.text);
  const page = placeWords(quote);
  const name = quote.document_name ? isolated(quote.document_name) : quote.document_id ? "deleted document" : "the case’s own gold passage";
  const address = addressOf(quote);
  const shown = address ? element("a", { href: address, target: SANDBOXED ? "" : "_blank", rel: "noopener noreferrer" }, name, page ? `, ${page}` : "") : null;
  const passage = quote.passage_id === undefined ? "" : ` (passage ${quote.passage_id})`;
  return [text, element("p", { className: "place" }, "— ", ...(shown ? [shown] : [name, page ? `, ${page}` : ""]), passage)];
}

function citationList(citations, key) {
  const list = element("ol", { className: "claims" });
  const seen = new Set();
  for (const citation of citations) {
    const row = element("li", {}, element("p", {}, element("span", { className: "chip citation" }, `[${citation.marker}]`), citation.label ? ` ${VERDICTS[citation.label].join(" ")}` : "", citation.literal === false ? " not word for word" : ""), ...quoteParts(citation.quote));
    if (!seen.has(citation.marker)) Object.assign(row, { id: `${key}-cite-${citation.marker}`, tabIndex: -1 });
    seen.add(citation.marker);
    list.append(row);
  }
  return element("details", {}, element("summary", {}, counted(citations.length, "citation")), list);
}

function factsOf(answer) {
  const facts = [];
  if (answer.faithfulness !== undefined) facts.push(`faithfulness ${percent(answer.faithfulness)}`);
  if (answer.confidence !== undefined) facts.push(`confidence ${answer.confidence.toFixed(2)}`);
  if (answer.cause) facts.push(`cause: ${spaced(answer.cause)}`);
  if (answer.counts) facts.push(`sentences borne out by their citations ${answer.counts.n_recalled} of ${answer.counts.n_sentences}, citations that bear ${answer.counts.n_precise} of ${answer.counts.n_citations}`);
  if (answer.decided_by) facts.push(`outcome by ${answer.decided_by === "references" ? "the references" : answer.decided_by === "abstention" ? "its abstention" : `a ${answer.decided_by}`}`);
  if (answer.retrieved) facts.push(`passages retrieved ${answer.retrieved.join(", ")}`);
  if (answer.total_seconds !== undefined) facts.push(`${answer.total_seconds.toFixed(1)}\u202fs`);
  return facts;
}
