// Draws every chart of the page in the theme at hand, and again when the theme or the medium changes.
(() => {
  "use strict";
  const read = id => JSON.parse(document.getElementById(id).textContent);
  const charts = read("charts");
  const dark = read("dark");
  const darkWanted = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false };
  const family = getComputedStyle(document.body).fontFamily;
  const PRINTED = { radar: 520, chart: 330, height: 300 };
  let printing = false;

  // Charts name the light theme's colours; on a dark page each stands for its dark counterpart.
  const recoloured = value => {
    if (typeof value === "string") return value.replace(/#[0-9a-f]{6}/g, colour => dark[colour] || colour);
    if (Array.isArray(value)) return value.map(recoloured);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, recoloured(v)]));
    return value;
  };

  const draw = (div, chart) => {
    const { data, layout } = darkWanted.matches && !printing ? recoloured(chart) : structuredClone(chart);
    layout.font = { ...layout.font, family };
    const radar = div.classList.contains("radar");
    const width = printing ? (radar ? PRINTED.radar : PRINTED.chart) : div.clientWidth;
    if (radar) {
      layout.height = width > 420 ? Math.min(width * 0.94, 600) : width * 0.98;
      if (width < 460) {
        layout.font.size = 10;
        layout.margin = { l: 74, r: 74, t: 48, b: 42 };
      }
    }
    if (printing) layout.width = width;
    return Plotly.react(div, data, layout, config);
  };

  const drawAll = () => Object.entries(charts).forEach(([id, chart]) => {
    const div = document.getElementById(id);
    if (div) draw(div, chart);
  });

  drawAll();
  darkWanted.addEventListener("change", drawAll);
  const folded = [...document.querySelectorAll("details:not(.folded)")].filter(details => !details.open);
  const printed = on => {
    printing = on;
    folded.forEach(details => { details.open = on; });
    drawAll();
  };
  addEventListener("beforeprint", () => printed(true));
  addEventListener("afterprint", () => printed(false));

  for (const image of document.querySelectorAll(".gallery img")) {
    const sharpen = () => image.classList.toggle("pixels", image.naturalWidth < 96);
    if (image.complete) sharpen();
    else image.addEventListener("load", sharpen);
  }
})();
