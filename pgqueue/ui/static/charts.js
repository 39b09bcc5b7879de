// Draws the series of a page's charts with uPlot, and draws them again as they change. Without it their small drawings stay.
"use strict";
(function () {
  const board = document.getElementById("charts");
  const figures = Array.from(board.querySelectorAll("[data-chart]"));
  const plots = new Map();
  const shared = uPlot.sync("charts");
  let data = null;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function seconds(value) {
    if (value >= 172800) return (value / 86400).toFixed(0) + "d";
    if (value >= 7200) return (value / 3600).toFixed(0) + "h";
    if (value >= 120) return (value / 60).toFixed(0) + "m";
    return (value >= 10 ? value.toFixed(0) : Number(value.toPrecision(2))) + "s";
  }

  function said(figure, value) {
    if (value === null || value === undefined) return "–";
    if (figure.dataset.unit === "s") return seconds(value);
    return value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  }

  function clock(at) {
    return new Date(at * 1000).toISOString().slice(5, 16).replace("T", " ");
  }

  function last(values) {
    return values.length ? values[values.length - 1] : null;
  }

  // What the pointer is at, or the latest.
  function tell(figure, place) {
    const values = data[figure.dataset.chart];
    const output = figure.querySelector("output");
    output.textContent = place === null ? said(figure, last(values)) : clock(data.at[place]) + "  " + said(figure, values[place]);
  }

  // A value between gaps is no line: it is drawn as a point.
  function lone(u, place) {
    const values = u.data[place];
    const is = function (at) { return values[at] !== null && values[at] !== undefined; };
    return values.map(function (_, at) { return at; }).filter(function (at) { return is(at) && !is(at - 1) && !is(at + 1); });
  }

  function draw(figure) {
    const plot = figure.querySelector(".plot");
    const kind = figure.dataset.kind;
    const line = colour(kind === "bad" ? "--bad" : kind === "warn" ? "--warn" : "--busy");
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const old = plots.get(figure);
    if (old) old.destroy();
    plot.replaceChildren();
    plots.set(figure, new uPlot({
      width: plot.clientWidth,
      height: plot.clientHeight,
      tzDate: function (at) { return uPlot.tzDate(new Date(at * 1000), "Etc/UTC"); },
      cursor: { sync: { key: shared.key }, y: false, points: { size: 6 } },
      legend: { show: false },
      scales: { y: { range: function (u, least, most) { return [0, most > 0 ? most * 1.1 : 1]; } } },
      axes: [
        Object.assign({ space: 60, size: 26, values: "{HH}:{mm}" }, axis, board.dataset.source.includes("week") ? { values: "{MM}-{DD}" } : { values: "{HH}:{mm}" }, { grid: { show: false } }),
        Object.assign({ space: 28, size: 46 }, axis, { values: function (u, values) { return values.map(function (value) { return said(figure, value); }); } }),
      ],
      series: [{}, { stroke: line, width: 1.5, fill: line + "22", points: { show: true, size: 4, filter: lone }, spanGaps: false }],
      hooks: { setCursor: [function (u) { tell(figure, u.cursor.idx === undefined ? null : u.cursor.idx); }] },
    }, [data.at, data[figure.dataset.chart]], plot));
    describe(figure);
  }

  function describe(figure) {
    const values = data[figure.dataset.chart].filter(function (value) { return value !== null; });
    const plot = figure.querySelector(".plot");
    const highest = values.length ? Math.max.apply(null, values) : 0;
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", figure.querySelector("figcaption").firstChild.textContent.trim() + ": now " + said(figure, last(values)) + ", at most " + said(figure, highest));
    tell(figure, null);
  }

  async function refresh() {
    if (document.hidden && data) return;
    let answer;
    try {
      answer = await fetch(board.dataset.source, { credentials: "same-origin", headers: { "hx-request": "true" } });
    } catch (_) {
      return; // the next one may come through
    }
    if (!answer.ok) return;
    const first = data === null;
    data = await answer.json();
    for (const figure of figures) {
      if (first) draw(figure);
      else {
        plots.get(figure).setData([data.at, data[figure.dataset.chart]]);
        describe(figure);
      }
    }
  }

  function again() {
    if (data) figures.forEach(draw);
  }

  document.documentElement.addEventListener("pgq:theme", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new ResizeObserver(function () {
    for (const [figure, plot] of plots) {
      const box = figure.querySelector(".plot");
      plot.setSize({ width: box.clientWidth, height: box.clientHeight });
    }
  }).observe(board);
  refresh();
  setInterval(refresh, Number(board.dataset.live) * 1000);
})();
