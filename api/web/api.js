// The one place that speaks to the service. Everything it returns is data and is shown as text.
let key = sessionStorage.getItem("citebound-key");

async function askForKey() {
  const dialog = document.getElementById("key-dialog");
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  key = document.getElementById("key").value;
  sessionStorage.setItem("citebound-key", key);
}

export async function call(method, path, { body, signal } = {}) {
  for (;;) {
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    if (typeof body === "string") headers["Content-Type"] = "application/json";
    const response = await fetch(path, { method, body, headers, signal });
    if (response.status === 401) { await askForKey(); continue; }
    if (response.ok) return response;
    let problem = {};
    try { problem = await response.json(); } catch { /* not JSON: the status line is all there is */ }
    const error = new Error(problem.detail || problem.title || `The service answered ${response.status}.`);
    error.problem = problem;
    throw error;
  }
}

export const getJson = async (path) => (await call("GET", path)).json();

// Server-sent events over fetch, so that the key travels in a header.
export async function* events(method, path, options) {
  const response = await call(method, path, options);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      buffer += value.replaceAll("\r\n", "\n");
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
