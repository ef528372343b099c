// The one place that speaks to the service. Everything it returns is data and is shown as text.
import { element, sentence } from "/static/element.js";

let key = sessionStorage.getItem("citebound-key");
let asking = null;

function askForKey() {
  const dialog = document.getElementById("key-dialog");
  const input = document.getElementById("key");
  document.getElementById("key-refused").hidden = !key;
  input.value = dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done, refuse) => {
    dialog.addEventListener("close", () => {
      asking = null;
      if (dialog.returnValue !== "use") {
        refuse(Object.assign(new Error("This service needs an API key; load the page again to give one."), { declined: true }));
        return;
      }
      key = input.value.replace(/[^\x21-\x7e]/g, ""); // what a header can hold
      sessionStorage.setItem("citebound-key", key);
      done();
    }, { once: true });
  });
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw Object.assign(new Error("The service cannot be reached; see that it runs, then try again."), { unreachable: true });
  }
}

export async function call(method, path, { body, signal } = {}) {
  for (;;) {
    const used = key;
    const headers = used ? { Authorization: `Bearer ${used}` } : {};
    if (typeof body === "string") headers["Content-Type"] = "application/json";
    const response = await reach(path, { method, body, headers, signal });
    if (response.status === 401) {
      if (used === key) await (asking ??= askForKey()); // one dialog, however many requests wait for it
      continue;
    }
    if (response.ok) return response;
    let problem = {};
    try { problem = await response.json(); } catch { /* not JSON: the status line is all there is */ }
    const error = new Error(sentence(problem.detail || problem.title || `the service answered ${response.status}`));
    throw Object.assign(error, { problem, status: response.status });
  }
}

export const getJson = async (path, options) => (await call("GET", path, options)).json();
export const postJson = async (path, value, options) => (await call("POST", path, { ...options, body: JSON.stringify(value) })).json();
export const documentPath = (id, rest = "") => `/v1/documents/${encodeURIComponent(id)}${rest}`;

export function offer(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const download = async (path, name) => offer(await (await call("GET", path)).blob(), name);

// Server-sent events over fetch, so that the key travels in a header. `opened` runs before the first event is read.
export async function* events(method, path, { opened = () => {}, ...options } = {}) {
  const response = await call(method, path, options);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    await opened();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += value;
      for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
        let name = "message";
        const data = [];
        for (const line of buffer.slice(0, end).split("\n")) {
          if (line.startsWith("event:")) name = line.slice(6).trim();
          if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
        }
        if (data.length) yield { name, data: JSON.parse(data.join("\n")) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
