// What outlives a reload: ids and choices, never the text of a document or of an answer.
export function remembered(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`citebound-${name}`)) ?? otherwise;
  } catch {
    return otherwise; // the browser keeps nothing, or what it kept is not ours
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`citebound-${name}`, JSON.stringify(value));
  } catch { /* the browser keeps nothing: the page works without */ }
}
