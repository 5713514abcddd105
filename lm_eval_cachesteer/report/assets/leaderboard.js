"use strict";
// The leaderboard: sorted by any column, by click or keyboard.

{
  const { columns, rows, remarks } = report.leaderboard;
  const table = byId("runs");
  const headings = columns.map((column, number) =>
    element(
      "th",
      { scope: "col", className: column.numeric ? "number" : "" },
      element("button", { type: "button", onclick: () => sortBy(number) }, column.name),
    ),
  );
  const lines = rows.map((cells) => ({
    cells,
    line: element(
      "tr",
      {},
      ...cells.map(([text], number) =>
        number
          ? element("td", { className: columns[number].numeric ? "number" : "" }, text)
          : element("th", { scope: "row" }, text),
      ),
    ),
  }));
  const body = element("tbody", {}, ...lines.map(({ line }) => line));
  table.append(element("thead", {}, element("tr", {}, ...headings)), body);

  /** Sorts by a column, first from the largest figure or the first letter, then the other way; empty cells last. */
  function sortBy(number) {
    const first = columns[number].numeric ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = headings[number].getAttribute("aria-sort") === first ? second : first;
    headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    headings[number].setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    lines.sort(({ cells: one }, { cells: two }) => compared(one[number][1], two[number][1], sign));
    body.append(...lines.map(({ line }) => line));
  }

  function compared(one, two, sign) {
    const missing = (value) => value === null || value === "";
    if (missing(one) || missing(two)) return missing(one) - missing(two);
    return sign * (typeof one === "number" ? one - two : one.localeCompare(two, undefined, { numeric: true }));
  }

  byId("leaderboard").querySelector(".scroll").hidden = !rows.length;
  byId("remarks").append(...[...remarks, ...report.remarks].map((remark) => element("li", {}, remark)));
}
