// The collection that everything on the page is about, and the list of those there are.
import { getJson } from "/static/api.js";
import { decide, element } from "/static/element.js";
import { remember, remembered } from "/static/store.js";

const chooser = document.getElementById("collection");
const counts = new Map(); // name -> documents
const listeners = [];
let told; // rereads soon, once for many changes

export const collection = () => chooser.value || "default";
export const nDocuments = () => counts.get(collection()) ?? 0;
export const onChange = (run) => listeners.push(run);

function show() {
  const chosen = collection();
  const names = new Set([...counts.keys(), chosen, ...(counts.size ? [] : ["default"])]);
  chooser.replaceChildren(...[...names].sort((a, b) => a.localeCompare(b)).map((name) => element("option", {
    value: name, textContent: counts.get(name) ? `${name} (${counts.get(name).toLocaleString("en")})` : name,
  })));
  chooser.value = chosen;
}

export function choose(name) {
  if (![...chooser.options].some((option) => option.value === name)) chooser.append(element("option", { value: name, textContent: name }));
  if (chooser.value === name) return;
  chooser.value = name;
  remember("collection", name);
  for (const run of listeners) run({ chosen: true });
}

export async function reread() {
  const { data } = await getJson("/v1/collections");
  counts.clear();
  for (const row of data) counts.set(row.name, row.n_documents);
  show();
  for (const run of listeners) run({ chosen: false });
}

export function rereadSoon() {
  told ??= setTimeout(() => { told = undefined; reread().catch(() => {}); }, 400);
}

export function start() {
  const before = remembered("collection", null);
  if (typeof before === "string" && before) {
    chooser.replaceChildren(element("option", { value: before, textContent: before }));
    chooser.value = before;
  }
  chooser.addEventListener("change", () => {
    remember("collection", collection());
    for (const run of listeners) run({ chosen: true });
  });
  document.getElementById("new-collection").addEventListener("click", async () => {
    const input = document.getElementById("collection-name");
    input.value = "";
    if (await decide("collection-dialog") && input.value.trim()) choose(input.value.trim());
  });
  reread().then(() => {
    if (!counts.size || counts.has(collection()) || before) return;
    choose(counts.keys().next().value); // nothing was chosen yet, and `default` holds nothing
  }).catch(() => {});
}
