// Builds elements; every string becomes a text node, never markup.
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Offsets from the service count code points; JavaScript strings count UTF-16 units.
export const codePoints = (text) => Array.from(text);
