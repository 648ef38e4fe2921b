"use strict";
// The frame of the page: hands each section its element, its data and the events between them.
const page = (() => {
  const read = (id) => {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : null;
  };
  const shared = read("shared");
  const listeners = {};
  const bus = {
    shared,
    zones: { ...shared.zones },
    on(event, listener) { (listeners[event] ||= []).push(listener); },
    send(event, value) { (listeners[event] || []).forEach((listener) => listener(value)); },
    // The outcome of a score under the thresholds as they stand now.
    judge(score) {
      if (score === null || bus.zones.fail_above === undefined) return "review";
      if (score > bus.zones.fail_above) return "fail";
      return score > bus.zones.review_above ? "review" : "pass";
    },
  };
  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const now = root.dataset.theme || (dark() ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });
  return {
    section(name, start) {
      document.querySelectorAll(`section#${name}`).forEach((root) => {
        start(root, read(`${name}-data`), bus);
      });
    },
    // A number short enough to read: at most four significant digits.
    short(value) {
      if (value === null || value === undefined) return "–";
      return String(Number(Number(value).toPrecision(4)));
    },
    element(tag, properties = {}, ...children) {
      const made = Object.assign(document.createElement(tag), properties);
      made.append(...children);
      return made;
    },
    svg(tag, attributes = {}, ...children) {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
      made.append(...children);
      return made;
    },
  };
})();
