"use strict";
// What the scripts share. Every text from a run goes into the page as a text node, never as HTML.

const report = JSON.parse(document.getElementById("data").textContent);

/** An element with properties (`on...`, `className`) and attributes (`aria-...`, `role`), and children or texts. */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

/** Fills a <select> with [value, text] pairs. */
function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
}

byId("summary").textContent = report.summary;
