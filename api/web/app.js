// The views, and the addresses that lead to them: #/ask/ANSWER, #/library, #/doc/ID/page/N, #/inspect/ANSWER, #/compare/ID.
import * as ask from "/static/ask.js";
import * as collections from "/static/collections.js";
import { say } from "/static/element.js";
import * as library from "/static/library.js";
import * as peek from "/static/peek.js";
import * as source from "/static/source.js";
import { remember, remembered } from "/static/store.js";
import * as upload from "/static/upload.js";

const TITLES = { ask: "Ask", library: "Library", inspect: "Look inside", compare: "Compare" };
const THEMES = { "": "as the system", light: "light", dark: "dark" };
// What is not needed to ask is loaded when it is first looked at.
function later(load) {
  let loading = null;
  return {
    async show(parts) {
      loading ??= load().then((module) => { module.start(); return module; });
      try {
        (await loading).show(parts);
      } catch {
        loading = null;
        say("This view could not be loaded; see that the service runs, then choose it again.");
      }
    },
  };
}

const views = { ask, library, inspect: later(() => import("/static/inspect.js")), compare: later(() => import("/static/compare.js")) };
let current = null;

function route() {
  const [name = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/").map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  const view = name === "doc" ? "library" : name in views ? name : "ask";
  const moved = current !== null && current !== view;
  current = view;
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== view;
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} – Citebound`;
  peek.hide();
  if (moved) {
    source.close({ quietly: true });
    scrollTo(0, 0);
    document.getElementById(`${view}-title`).focus({ preventScroll: true });
  }
  if (name === "doc" && rest[0]) source.openDocument(rest[0], rest[1] === "page" ? Number(rest[2]) : null);
  views[view].show(name === "doc" ? [] : rest);
}

function theme() {
  const button = document.getElementById("theme");
  const names = Object.keys(THEMES);
  const set = (name) => {
    if (name) document.documentElement.dataset.theme = name;
    else delete document.documentElement.dataset.theme;
    button.setAttribute("aria-label", `Colors: ${THEMES[name]}`);
    button.title = `Colors: ${THEMES[name]}`;
  };
  let chosen = names.includes(remembered("theme", "")) ? remembered("theme", "") : "";
  set(chosen);
  button.addEventListener("click", () => {
    chosen = names[(names.indexOf(chosen) + 1) % names.length];
    remember("theme", chosen);
    set(chosen);
    say(`Colors: ${THEMES[chosen]}.`);
  });
}

function forget(documentId) {
  source.forget(documentId);
  ask.forget(documentId);
}

theme();
peek.start();
source.start();
collections.start();
upload.start();
ask.start();
library.start({ forget });
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address names the view
  document.getElementById(`${current}-title`).focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (peek.isShown()) peek.hide();
  else source.close();
});
addEventListener("hashchange", route);
route();
