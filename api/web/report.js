// A report is a page with scripts of its own. It runs in a frame without this page's origin and without a network.
import { element } from "/static/element.js";

export function reportFrame(html, title) {
  const frame = element("iframe", { src: "/static/frame.html", title, className: "report" });
  frame.setAttribute("sandbox", "allow-scripts");
  const hear = (event) => {
    if (event.source !== frame.contentWindow || event.data !== "send the report") return;
    removeEventListener("message", hear);
    frame.contentWindow.postMessage({ html }, "*"); // the frame has no origin that could be named
  };
  addEventListener("message", hear);
  return frame;
}
