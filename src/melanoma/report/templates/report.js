"use strict";
// Charts in the colours of the page, the threshold's slider, and photographs that open large.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const charts = read("report-charts");
  const stops = read("report-stops");
  const root = document.documentElement;
  const drawn = new Set();
  const narrow = () => window.matchMedia("(max-width: 40rem)").matches;

  // The page's colours are custom properties, which plotly does not know.
  const probe = document.body.appendChild(document.createElement("span"));
  probe.hidden = true;
  const resolve = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const coloured = (value) => {
    if (typeof value === "string") {
      const found = /^var\((--[\w-]+)\)$/.exec(value);
      return found ? resolve(found[1]) : value;
    }
    if (Array.isArray(value)) {
      return value.length && typeof value[0] === "number" ? value : value.map(coloured);
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, coloured(held)]));
    }
    return value;
  };

  const axis = (given) => ({
    gridcolor: resolve("--line"),
    linecolor: resolve("--line"),
    zerolinecolor: resolve("--line"),
    automargin: true,
    ...given,
    title: { standoff: 8, ...given.title },
  });
  const layoutOf = (given) => {
    const layout = coloured(given);
    const many = narrow() ? 11 : 12.5;
    return {
      ...layout,
      xaxis: axis(layout.xaxis),
      yaxis: axis(layout.yaxis),
      font: { family: getComputedStyle(document.body).fontFamily, size: many, color: resolve("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 8, r: 26, t: 8, b: 8 },
      legend: { orientation: "h", traceorder: "normal", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", maxheight: 1000, font: { size: many - 0.5 } },
      hoverlabel: { bgcolor: resolve("--raised"), bordercolor: resolve("--line"), font: { color: resolve("--ink") } },
      // On a touch screen a finger scrolls the page; with a mouse a rectangle enlarges.
      dragmode: window.matchMedia("(pointer: coarse)").matches ? false : "zoom",
    };
  };
  const options = { displayModeBar: false, responsive: true, showTips: false };
  // Where there is little width a legend has a name a line, which may not go off the chart's height.
  const heightOf = ({ data, layout }) => {
    const names = data.filter((trace) => trace.showlegend !== false).length;
    return layout.height + (narrow() ? 18 * Math.max(0, names - 3) : 0);
  };
  const draw = (name, more = {}) => {
    const place = document.getElementById(name);
    const height = heightOf(charts[name]);
    drawn.add(name);
    place.style.height = `${height}px`;
    const layout = { ...layoutOf(charts[name].layout), height, ...more };
    Plotly.react(place, coloured(charts[name].data), layout, options);
  };
  const redraw = () => drawn.forEach((name) => draw(name));

  // Only what comes into sight is drawn; on paper everything is.
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) {
          watcher.unobserve(entry.target);
          draw(entry.target.id);
        }
      }
    },
    { rootMargin: "600px" },
  );
  Object.keys(charts).forEach((name) => watcher.observe(document.getElementById(name)));
  let chosen;
  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    chosen = root.dataset.theme;
    root.dataset.theme = "light"; // paper is white, whatever the screen is
    // Nothing can be unfolded on paper. What only repeats a chart is left out there by the style.
    unfolded = [...document.querySelectorAll("section > details:not([open])")];
    unfolded.forEach((one) => { one.open = true; });
    Object.keys(charts).forEach((name) => {
      Plotly.purge(name); // else the legend keeps the room that it had on the screen
      draw(name, { width: 640 });
    });
  });
  window.addEventListener("afterprint", () => {
    if (chosen) {
      root.dataset.theme = chosen;
    } else {
      delete root.dataset.theme;
    }
    unfolded.forEach((one) => { one.open = false; });
    redraw();
  });

  // Light and dark: as the system says, until the button says otherwise.
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => {
    button.textContent = isDark() ? "Light colours" : "Dark colours";
    redraw();
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  show();

  // The threshold.
  const slider = document.getElementById("threshold-slider");
  const put = (id, text) => { document.getElementById(id).textContent = text; };
  const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "-");
  const logOdds = (value) => {
    const kept = Math.min(Math.max(value, 1e-4), 1 - 1e-4);
    return Math.log(kept / (1 - kept));
  };
  const follow = () => {
    const stop = Number(slider.value);
    const found = stops.true_positives[stop];
    const alarms = stops.false_positives[stop];
    const threshold = stops.thresholds[stop].toFixed(4);
    const number = (value) => value.toLocaleString("en-US");
    put("true-positives", number(found));
    put("false-negatives", number(stops.n_positives - found));
    put("false-positives", number(alarms));
    put("true-negatives", number(stops.n_negatives - alarms));
    put("sensitivity", share(found, stops.n_positives));
    put("specificity", share(stops.n_negatives - alarms, stops.n_negatives));
    put("precision", share(found, found + alarms));
    put("false-per-true", found ? (alarms / found).toFixed(1) : "-");
    put("threshold-value", threshold);
    const rates = `sensitivity ${share(found, stops.n_positives)}, specificity ${share(stops.n_negatives - alarms, stops.n_negatives)}`;
    slider.setAttribute("aria-valuetext", `${threshold}: ${rates}`);
    const here = logOdds(stops.thresholds[stop]);
    const mark = charts["threshold-chart"].layout.shapes[0];
    mark.x0 = mark.x1 = here;
    if (drawn.has("threshold-chart")) {
      Plotly.relayout("threshold-chart", { "shapes[0].x0": here, "shapes[0].x1": here });
    }
  };
  slider.addEventListener("input", follow);
  slider.value = stops.start;
  follow();

  // Photographs.
  const dialog = document.getElementById("large");
  document.querySelectorAll(".open").forEach((opener) => {
    opener.addEventListener("click", () => {
      const card = opener.closest(".card");
      const picture = opener.querySelector(".picture").cloneNode(true);
      const [width, height] = ["width", "height"].map((side) => opener.querySelector("img").getAttribute(side));
      picture.style.aspectRatio = `${width} / ${height}`;
      picture.style.width = `min(100%, ${(72 * width) / height}vh)`;
      picture.firstElementChild.alt = opener.getAttribute("aria-label").replace("Enlarge. ", "");
      dialog.querySelector("h2").textContent = card.querySelector("h4").textContent;
      dialog.querySelector(".frame").replaceChildren(picture);
      dialog.querySelector(".facts").replaceChildren(card.querySelector("dl").cloneNode(true));
      dialog.showModal();
    });
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) {
      dialog.close();
    }
  });
  const switches = document.querySelectorAll(".attention");
  switches.forEach((one) => one.addEventListener("change", () => {
    document.body.classList.toggle("with-attention", one.checked);
    switches.forEach((other) => { other.checked = one.checked; });
  }));
})();
