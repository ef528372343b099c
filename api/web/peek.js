// One small card beside what the pointer or the focus is on. It can be pointed at itself, and Escape puts it away.
const card = document.getElementById("peek");
const GAP = 8;
let owner = null;
let timer;

function settle() {
  const at = owner.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = card;
  const left = Math.min(Math.max(GAP, at.left + at.width / 2 - width / 2), innerWidth - width - GAP);
  const above = at.top - height - GAP;
  card.style.left = `${left}px`;
  card.style.top = `${above >= GAP ? above : Math.min(at.bottom + GAP, innerHeight - height - GAP)}px`;
}

function show(target, build) {
  clearTimeout(timer);
  hide();
  owner = target;
  card.replaceChildren(...build());
  card.hidden = false;
  target.setAttribute("aria-describedby", "peek");
  settle();
}

export function hide() {
  clearTimeout(timer);
  owner?.removeAttribute("aria-describedby");
  owner = null;
  card.hidden = true;
}

const later = (run, wait) => { clearTimeout(timer); timer = setTimeout(run, wait); };

export function peekAt(target, build) {
  target.addEventListener("pointerenter", (event) => { if (event.pointerType !== "touch") later(() => show(target, build), 120); });
  target.addEventListener("pointerleave", () => later(hide, 200));
  target.addEventListener("focus", () => { if (target.matches(":focus-visible")) show(target, build); });
  target.addEventListener("blur", hide);
  return target;
}

export function start() {
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", () => later(hide, 200));
  addEventListener("scroll", () => { if (owner) settle(); }, { passive: true, capture: true });
}

export const isShown = () => !card.hidden;
