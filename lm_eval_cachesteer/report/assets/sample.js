"use strict";
// One sample in full: question, both answers side by side with what changed, figures.

const { groups, sides, comparisons, texts, records, samples } = report.browser;
const SIGNS = {
  "flipped right": ["▲", "up"],
  "flipped wrong": ["▼", "down"],
  "both right": ["✓", "same"],
  "both wrong": ["✗", "same"],
  "no score": ["·", "same"],
};

function groupOf(sample) {
  return groups[sides[comparisons[sample.comparison].base].group];
}

/** The name of the run that is compared with the baseline. */
function runOf(sample) {
  return sides[comparisons[sample.comparison].other].name;
}

function titleOf(sample) {
  return texts[sample.title] || "(no text)";
}

/** The figures of both runs in one column of their group. */
function figuresOf(sample, column) {
  return [sample.base, sample.other].map((record) => records[record].figures[column]);
}

function signOf(outcome) {
  const [symbol, kind] = SIGNS[outcome];
  return element("span", { className: `sign ${kind}`, "aria-hidden": "true" }, symbol);
}

/** All of a sample, as elements. */
function fullSample(sample) {
  const pair = [records[sample.base], records[sample.other]];
  const { task, model, figures, score } = groupOf(sample);
  const scored = sample.outcome !== "no score";
  const target = texts[sample.target];
  return [
    element("h3", {}, titleOf(sample)),
    element(
      "p",
      { className: "what" },
      ...(scored ? [signOf(sample.outcome), " ", element("b", {}, sample.outcome), ` by ${figures[score]} · `] : []),
      `${task}, ${model}`,
      ...(target ? [" · target: ", element("b", {}, target)] : []),
    ),
    ...prompts(pair),
    ...(pair.some((record) => record.choices) ? [choiceTable(pair, target)] : []),
    ...responses(pair),
    figureTable(sample, pair),
  ];
}

function nameOf(record) {
  return sides[record.side].name;
}

/** The prompt, closed at first; both if they differ. */
function prompts(pair) {
  const [one, two] = pair.map((record) => [sides[record.side].start, texts[record.prompt]]);
  const prompt = ([start, rest], heading) =>
    element(
      "details",
      {},
      element("summary", {}, heading),
      element("pre", {}, element("span", { className: "shared" }, start), rest),
    );
  if (one.join("") === two.join("")) return [prompt(one, "Prompt")];
  return [prompt(one, `Prompt, ${nameOf(pair[0])}`), prompt(two, `Prompt, ${nameOf(pair[1])}`)];
}

/** The responses of both runs side by side, one pair for each repeat. */
function responses(pair) {
  const repeats = Math.max(...pair.map((record) => record.responses.length));
  return Array.from({ length: repeats }, (_, repeat) => responsePair(pair, repeat, repeats));
}

function responsePair(pair, repeat, repeats) {
  const [before, after] = pair.map((record) => texts[record.responses[repeat]] ?? "");
  const runs = compareTexts(before, after);
  const shared = runs.filter((run) => run.same);
  // Where nothing is shared, marks on every word would only hinder reading.
  const marked = byId("changes").checked && shared.length > 0;
  const text = (part, tag) => {
    const parts = runs.map((run) => [run.same, run[part].join("")]).filter(([, words]) => words);
    const written = parts.map(([same, words]) => (same || !marked ? words : element(tag, {}, words)));
    return element("div", written.length ? { className: "text" } : { className: "empty" }, ...written);
  };
  const pane = (record, kind, content) => {
    const name = nameOf(record) + (repeats > 1 ? `, response ${repeat + 1}` : "");
    const header = element("header", {}, element("h4", {}, name), ...extracted(record, repeat));
    return element("section", { className: `answer ${kind}` }, header, content);
  };
  const [one, two, kept] = [before, after, shared.flatMap((run) => run.before).join("")].map(countWords);
  const told = before === after ? "The answers are the same." : `${one} words, then ${two}; ${kept} of them kept.`;
  return element(
    "div",
    { className: "answers" },
    element("p", { className: "what" }, told),
    pane(pair[0], "base", text("before", "del")),
    pane(pair[1], "other", text("after", "ins")),
  );
}

/** What each filter extracted from a response. */
function extracted(record, repeat) {
  const found = Object.entries(record.answers ?? {}).filter(([, answers]) => answers[repeat] !== undefined);
  return found.map(([filter, answers]) => {
    const label = filter === "none" ? "answer: " : `answer, ${filter}: `;
    return element("p", {}, label, element("b", {}, texts[answers[repeat]] || "(empty)"));
  });
}

function countWords(text) {
  return text.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
}

/** The choices of a document with their log-likelihoods. */
function choiceTable(pair, target) {
  const [one, two] = pair.map((record) => record.choices ?? []);
  const highest = [one, two].map((choices) =>
    Math.max(...choices.map(([, likelihood]) => likelihood ?? -Infinity)),
  );
  const tagged = (content, tag) => (tag ? [content, " ", element("span", { className: "tag" }, tag)] : [content]);
  const lines = Array.from({ length: Math.max(one.length, two.length) }, (_, place) => {
    const text = texts[(one[place] ?? two[place])[0]].trim();
    const likelihoods = [one[place]?.[1] ?? null, two[place]?.[1] ?? null];
    const cells = likelihoods.map((likelihood, side) =>
      element("td", {}, ...tagged(likelihood?.toFixed(2) ?? "", likelihood === highest[side] ? "highest" : "")),
    );
    const name = element("th", { scope: "row" }, ...tagged(text, text === target ? "target" : ""));
    return element("tr", {}, name, ...cells, element("td", {}, change(...likelihoods, 2)));
  });
  return dataTable("Log-likelihood of each choice", ["choice", ...pair.map(nameOf), "change"], lines);
}

function figureTable(sample, pair) {
  const lines = groupOf(sample).figures.flatMap((name, column) => {
    const figures = figuresOf(sample, column);
    if (figures.every((figure) => figure === null)) return [];
    const cells = figures.map((figure) => element("td", {}, figure === null ? "" : shortened(figure, 3)));
    cells.push(element("td", {}, change(...figures, 3)));
    return [element("tr", {}, element("th", { scope: "row" }, name), ...cells)];
  });
  return dataTable("Figures", ["metric", ...pair.map(nameOf), "change"], lines);
}

function dataTable(caption, headings, lines) {
  const head = element("tr", {}, ...headings.map((heading) => element("th", { scope: "col" }, heading)));
  return element(
    "div",
    { className: "wide-table" },
    element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...lines)),
  );
}

function shortened(figure, digits) {
  return Number.isInteger(figure) ? String(figure) : figure.toFixed(Math.abs(figure) < 10 ? digits : 1);
}

function change(one, two, digits) {
  if (one === null || two === null || one === two) return "";
  return `${two > one ? "+" : "−"}${shortened(Math.abs(two - one), digits)}`;
}
