"use strict";
// The plots. They come in light colours, which dark mode replaces.

{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map(); // place -> chart
  const COLOR = /^#[0-9a-f]{6}$|(?<=style="color:)#[0-9a-f]{6}/g;
  let printing = false;

  function colored(value) {
    if (typeof value === "string") {
      return value.replace(COLOR, (color) => report.colors[color] ?? color);
    }
    if (Array.isArray(value)) return value.map(colored);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, colored(inner)]));
    }
    return value;
  }

  function draw(place, chart) {
    drawn.set(place, chart);
    const { data, layout } = dark.matches && !printing ? colored(chart) : structuredClone(chart);
    Plotly.react(place, data, layout, { responsive: true, displayModeBar: false });
  }

  /** Shows charts in a container, each with a button that saves it. */
  function show(container, charts) {
    for (const place of container.querySelectorAll(".plot")) {
      drawn.delete(place);
      Plotly.purge(place);
    }
    const places = charts.map(({ description }) =>
      element("div", { className: "plot", role: "img", "aria-label": description }),
    );
    const captions = charts.map(({ caption }, number) =>
      element("figcaption", {}, caption, saveButton(places[number], caption)),
    );
    container.replaceChildren(...places.map((place, number) => element("figure", {}, captions[number], place)));
    charts.forEach((chart, number) => draw(places[number], chart));
  }

  function saveButton(place, filename) {
    const onclick = () => {
      const { clientWidth: width, clientHeight: height } = place;
      Plotly.downloadImage(place, { format: "svg", filename, width, height });
    };
    return element("button", { type: "button", className: "quiet", title: "save the plot as SVG", onclick }, "SVG");
  }

  /** Shows the charts of one title, which is chosen if there are several. */
  function choose(select, container, charts) {
    const titles = [...new Set(charts.map((chart) => chart.title))];
    const pick = () => show(container, charts.filter((chart) => chart.title === select.value));
    fill(select, titles.map((title) => [title, title]));
    select.closest("label").hidden = titles.length < 2;
    select.onchange = pick;
    if (titles.length) pick();
  }

  function section(id, charts) {
    const place = byId(id);
    place.querySelector(".none").hidden = charts.length > 0;
    choose(place.querySelector("select"), place.querySelector(".plots"), charts);
  }

  function sweep({ title, charts, recommended }) {
    const [plots, select] = [element("div", { className: "plots two" }), element("select")];
    const texts = [element("h3", {}, title), element("p", {}, recommended)];
    const label = element("label", { className: "choose" }, "Measure ", select);
    byId("sweep-list").append(element("div", { className: "sweep" }, ...texts, label, plots));
    choose(select, plots, charts);
  }

  function redraw() {
    for (const [place, chart] of drawn) draw(place, chart);
  }

  section("differences", report.differences);
  section("distributions", report.distributions);
  byId("sweeps").hidden = !report.sweeps.length;
  document.querySelector('nav a[href="#sweeps"]').hidden = !report.sweeps.length;
  report.sweeps.forEach(sweep);
  dark.addEventListener("change", redraw);
  for (const event of ["beforeprint", "afterprint"]) {
    addEventListener(event, () => {
      printing = event === "beforeprint";
      redraw();
    });
  }
}
