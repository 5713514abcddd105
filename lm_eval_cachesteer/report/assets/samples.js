"use strict";
// The sample browser: filters, the list, the keyboard.

const ROW = 64; // height in pixels, as in page.css
const MARGIN = 5; // rows drawn above and below those in sight
const SEARCH_DELAY = 120; // milliseconds after the last key
const view = { listed: [], selected: 0, outcome: "" };

// ---- filters

function setUpFilters() {
  const tasks = [...new Set(comparisons.map(({ base }) => sides[base].group))];
  const names = tasks.map((group) => groups[group].task);
  const named = ({ task, model }) => (names.indexOf(task) === names.lastIndexOf(task) ? task : `${task} · ${model}`);
  fill(byId("by-task"), [["", "all tasks"], ...tasks.map((group) => [group, named(groups[group])])]);
  fillRuns();
  const styles = [...new Set(tasks.flatMap((group) => Object.keys(groups[group].styles)))].sort();
  const directions = styles.flatMap((style) => [[`+${style}`, `more ${style}`], [`-${style}`, `less ${style}`]]);
  fill(byId("by-style"), [["", "any"], ...directions]);
  fillOutcomes();

  byId("by-task").onchange = () => {
    fillRuns();
    filter();
  };
  byId("by-run").onchange = filter;
  byId("by-style").onchange = filter;
  let waiting = 0;
  byId("search").oninput = () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, SEARCH_DELAY);
  };
}

/** Offers the runs of the chosen task. */
function fillRuns() {
  const [task, chosen] = [byId("by-task").value, byId("by-run").value];
  const ofTask = comparisons.filter(({ base }) => !task || sides[base].group === Number(task));
  const runs = [...new Set(ofTask.map(({ other }) => sides[other].name))];
  fill(byId("by-run"), [["", "all runs"], ...runs.map((run) => [run, run])]);
  byId("by-run").value = runs.includes(chosen) ? chosen : "";
}

function fillOutcomes() {
  const known = new Set(samples.map((sample) => sample.outcome));
  const outcomes = Object.keys(SIGNS).filter((outcome) => known.has(outcome));
  byId("outcomes").hidden = outcomes.length < 2;
  byId("outcomes").replaceChildren(
    ...["", ...outcomes].map((outcome) => {
      const onclick = () => {
        view.outcome = outcome;
        filter();
      };
      const label = outcome ? [signOf(outcome), ` ${outcome}`] : ["all"];
      const count = element("span", { className: "count" });
      return element("button", { type: "button", value: outcome, onclick }, ...label, count);
    }),
  );
}

/** Lists the samples that pass all filters, and counts them by outcome. */
function filter() {
  const [task, run, style, phrase] = ["by-task", "by-run", "by-style", "search"].map((id) => byId(id).value.trim());
  const found = phrase && textsWith(phrase);
  const passed = samples.filter(
    (sample) =>
      (!task || sides[comparisons[sample.comparison].base].group === Number(task)) &&
      (!run || runOf(sample) === run) &&
      (!style || changedStyle(sample, style.slice(1), style[0] === "+" ? 1 : -1)) &&
      (!found || textsOf(sample).some((text) => found[text])),
  );
  const counts = new Map([["", passed.length]]);
  for (const { outcome } of passed) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  for (const chip of byId("outcomes").children) {
    chip.setAttribute("aria-pressed", chip.value === view.outcome);
    chip.querySelector(".count").textContent = counts.get(chip.value) ?? 0;
  }
  view.listed = passed.filter((sample) => !view.outcome || sample.outcome === view.outcome);
  byId("list").scrollTop = 0;
  select(0);
}

function changedStyle(sample, style, direction) {
  const column = groupOf(sample).styles[style];
  const [base, other] = column === undefined ? [null, null] : figuresOf(sample, column);
  return base !== null && other !== null && (other - base) * direction > 0;
}

/** For each text, whether it holds a phrase, in capitals or not. */
function textsWith(phrase) {
  const pattern = new RegExp(phrase.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"), "i");
  return texts.map((text) => pattern.test(text));
}

/** The numbers of all texts of a sample, but for what all prompts of its task begin with. */
function textsOf(sample) {
  const of = ({ prompt, responses, answers = {}, choices = [] }) => [
    prompt,
    ...responses,
    ...Object.values(answers).flat(),
    ...choices.map(([text]) => text),
  ];
  return [sample.title, sample.target, ...of(records[sample.base]), ...of(records[sample.other])];
}

// ---- list: only the rows in sight are in the page

function showRows() {
  const list = byId("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - MARGIN);
  const last = Math.min(view.listed.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + MARGIN);
  byId("rows").style.height = `${view.listed.length * ROW}px`;
  byId("rows").replaceChildren(...view.listed.slice(first, last).map((sample, place) => row(sample, first + place)));
  if (view.listed.length) list.setAttribute("aria-activedescendant", `row-${view.selected}`);
  else list.removeAttribute("aria-activedescendant");
}

function row(sample, place) {
  const about = comparisons.length > 1 ? [runOf(sample), groupOf(sample).task] : [];
  const made = element(
    "div",
    {
      id: `row-${place}`,
      className: "row",
      role: "option",
      "aria-selected": place === view.selected,
      "aria-posinset": place + 1,
      "aria-setsize": view.listed.length,
      onclick: () => select(place),
    },
    signOf(sample.outcome),
    element("span", {}, titleOf(sample)),
    element("span", { className: "about" }, [sample.outcome, ...about].join(" · ")),
  );
  made.style.top = `${place * ROW}px`;
  return made;
}

/** Shows one of the listed samples. */
function select(place) {
  view.selected = Math.max(0, Math.min(place, view.listed.length - 1));
  const list = byId("list");
  const top = view.selected * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  showRows();
  byId("previous").disabled = view.selected === 0;
  byId("next").disabled = view.selected >= view.listed.length - 1;
  byId("position").textContent = view.listed.length ? `${view.selected + 1} of ${view.listed.length}` : "none";
  const sample = view.listed[view.selected];
  const none = () => [element("p", { className: "none" }, "No sample passes these filters.")];
  byId("content").replaceChildren(...(sample ? fullSample(sample) : none()));
}

// ---- keyboard and buttons

function setUpKeys() {
  const step = (by) => select(view.selected + by);
  const anywhere = {
    j: () => step(1),
    k: () => step(-1),
    ArrowRight: () => step(1),
    ArrowLeft: () => step(-1),
    d: () => byId("changes").click(),
    "/": () => byId("search").focus(),
    "?": () => byId("help").showModal(),
  };
  const inList = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Home: () => select(0),
    End: () => select(view.listed.length - 1),
  };
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    if (target.id === "search" && key === "Escape") target.blur();
    if (target.matches("input[type=search], select")) return;
    const scrolls = key.startsWith("Arrow") && target.matches(".scroll, .scroll *");
    const action = (target.id === "list" && inList[key]) || (!scrolls && anywhere[key]);
    if (!action) return;
    event.preventDefault();
    action();
  });
  byId("previous").onclick = anywhere.k;
  byId("next").onclick = anywhere.j;
  byId("keys").onclick = anywhere["?"];
  byId("changes").onchange = () => select(view.selected);
  byId("list").onscroll = showRows;
  new ResizeObserver(showRows).observe(byId("list"));
}

byId("browser").hidden = !samples.length;
document.querySelector("#samples .none").hidden = samples.length > 0;
const { of: total, seed } = report.browser;
const chosen = ` Of ${total} pairs, ${samples.length} chosen at random are here (seed ${seed}).`;
const lead = "The baseline's answer beside that of every other run, document by document.";
byId("kept").textContent = samples.length < total ? lead + chosen : lead;
if (samples.length) {
  setUpFilters();
  setUpKeys();
  filter();
}
