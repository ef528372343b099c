// One question in the conversation, with one answer or two beside each other.
import { answerBody, summary } from "/static/answer_parts.js";
import { draftText } from "/static/answer_text.js";
import { events } from "/static/api.js";
import { count, element } from "/static/element.js";

const NAMES = { grounded: "From the documents", closed_book: "From memory" };

export class Turn {
  constructor(question, modes, { follow }) {
    this.question = question;
    this.answers = new Map(); // mode -> Answer
    this.follow = () => follow(this);
    this.panes = new Map(modes.map((mode) => [mode, element("div", { className: "pane", role: "group", "aria-label": NAMES[mode] })]));
    const both = modes.length > 1;
    this.node = element("li", { className: both ? "turn both" : "turn" },
      element("h3", { className: "asked", textContent: question, dir: "auto", tabIndex: -1 }),
      element("div", { className: "panes" }, [...this.panes].map(([mode, pane]) =>
        element("article", { className: mode }, both || mode === "closed_book" ? element("h4", { textContent: NAMES[mode] }) : null, pane))));
  }

  show(mode, answer) {
    this.answers.set(mode, answer);
    this.panes.get(mode).replaceChildren(...answerBody(answer, mode === "grounded" || !this.panes.has("grounded") ? this.follow : null));
  }

  // Streams one answer; resolves to what came of it, in words.
  async run(mode, body, signal, tell) {
    const pane = this.panes.get(mode);
    const status = element("p", { className: "progress", textContent: mode === "grounded" ? "Looking for passages …" : "Waiting for the model …" });
    const text = element("p", { className: "text draft", dir: "auto" });
    pane.replaceChildren(status, text);
    pane.setAttribute("aria-busy", "true");
    let draft = "";
    let n_checked = 0;
    let end = "The service broke off; ask again.";
    const note = (line) => { status.textContent = line; tell(line); };
    try {
      for await (const event of events("POST", "/v1/ask", { body: JSON.stringify({ ...body, mode, stream: true }), signal })) {
        if (event.name === "retrieval" && mode === "grounded") note(`${count(event.data.hits.length, "passage")} found; reading …`);
        if (event.name === "token") {
          if (!draft) note("Writing …");
          text.replaceChildren(...draftText(draft += event.data.text));
        }
        if (event.name === "verification") note(`Checking what was written: ${count(n_checked += 1, "claim")} …`);
        if (event.name === "answer") { this.show(mode, event.data); end = summary(event.data); }
        if (event.name === "error") throw new Error(event.data.detail);
      }
    } catch (error) {
      end = error.name === "AbortError" ? "Stopped." : error.message;
    }
    pane.removeAttribute("aria-busy");
    if (!this.answers.has(mode)) { // what stands there is unfinished, and says so
      text.classList.remove("draft");
      text.hidden = !draft;
      status.className = end === "Stopped." ? "note" : "note bad";
      status.textContent = draft ? `${end} What stands here is an unchecked draft.` : end;
      pane.append(status);
    }
    return end;
  }

  // The answer that a follow-up is about.
  get main() { return this.answers.get("grounded") ?? this.answers.get("closed_book"); }

  get ids() { return Object.fromEntries([...this.answers].map(([mode, answer]) => [mode, answer.answer_id])); }
}
