// Builds elements; every string becomes a text node, never markup.
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// A name in either writing direction, kept from turning the words around it (Unicode's first strong isolate).
export const isolated = (text) => `\u2068${text}\u2069`;

// Offsets from the service count code points; JavaScript strings count UTF-16 units.
export const countPoints = (text) => Array.from(text).length;

export function unitOf(text, point, from = 0) {
  let unit = from;
  for (let left = point; left > 0 && unit < text.length; left -= 1) unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  return unit;
}
