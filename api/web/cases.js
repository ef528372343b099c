// Cases of a comparison as people paste them: JSON, JSON lines, CSV with a header, or one question a line.
const FIELDS = ["id", "question", "reference_answers", "answerable", "document", "gold_passages", "gold_passage", "slices", "drafted"];

// One record of comma-separated values after another (RFC 4180).
function records(text) {
  const rows = [[]];
  let cell = "";
  let quoted = false;
  const end = () => { rows.at(-1).push(cell); cell = ""; };
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (quoted) {
      if (char !== '"') cell += char;
      else if (text[at + 1] === '"') { cell += '"'; at += 1; } else quoted = false;
    } else if (char === '"' && cell === "") quoted = true;
    else if (char === ",") end();
    else if (char === "\n") { end(); rows.push([]); } else if (char !== "\r") cell += char;
  }
  end();
  return rows.filter((row) => row.some((value) => value.trim()));
}

const several = (text) => text.split("|").map((part) => part.trim()).filter(Boolean);

function fromCsv(text) {
  const [names, ...rows] = records(text);
  const known = names.map((name) => name.trim().toLowerCase());
  return rows.map((row) => {
    const found = {};
    known.forEach((name, index) => {
      const value = (row[index] ?? "").trim();
      if (!FIELDS.includes(name) || !value) return;
      if (name === "answerable" || name === "drafted") found[name] = !/^(false|no|0)$/i.test(value);
      else if (name === "reference_answers") found[name] = value.startsWith("[") ? JSON.parse(value) : several(value);
      else if (name === "gold_passages") found[name] = value.startsWith("[") ? JSON.parse(value) : [value];
      else found[name] = value;
    });
    return found;
  });
}

// "Question? = answer | other answer", or a question alone.
function fromLines(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [question, answers = ""] = line.split(/\t|\s=\s/, 2);
    return { question: question.trim(), reference_answers: several(answers) };
  });
}

function rowsOf(text) {
  if (/^\s*\[/.test(text)) return JSON.parse(text);
  if (/^\s*\{/.test(text)) {
    const lines = text.split("\n").filter((line) => line.trim());
    try { return lines.map((line) => JSON.parse(line)); } catch { return [JSON.parse(text)].flatMap((value) => value.cases ?? value); }
  }
  return /(^|,)\s*"?question"?\s*(,|$)/im.test(text.split("\n", 1)[0]) ? fromCsv(text) : fromLines(text);
}

// The cases in a text. Throws an Error that says what is wrong with it.
export function parseCases(text, taken = []) {
  let rows;
  try {
    rows = rowsOf(text.replace(/^\ufeff/, ""));
  } catch {
    throw new Error("This is not valid JSON. Write one question a line, or “question = answer”.");
  }
  const ids = new Set(taken);
  return rows.map((row, index) => {
    const question = typeof row?.question === "string" ? row.question.trim() : "";
    if (!question) throw new Error(`Case ${index + 1} has no question.`);
    let id = typeof row.id === "string" && row.id ? row.id : `case-${ids.size + 1}`;
    for (let n = ids.size + 1; ids.has(id); n += 1) id = `case-${n}`;
    ids.add(id);
    const kept = Object.fromEntries(Object.entries(row).filter(([name, value]) => FIELDS.includes(name) && value !== null));
    const answerable = row.answerable !== false;
    return { ...kept, id, question, answerable, reference_answers: answerable ? (row.reference_answers ?? []) : [] };
  });
}
