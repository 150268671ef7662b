// Draws plotly's radars in the current theme, and redraws them when the theme or the medium changes.
const Charts = (() => {
  "use strict";
  const dark = JSON.parse(document.getElementById("dark").textContent);
  const darkWanted = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: false };
  const family = getComputedStyle(document.body).fontFamily;
  const PRINTED = 520;
  const shown = new Map();
  let printing = false;
  let width = innerWidth;

  // Charts use the light theme's colours; on a dark page each is replaced by its dark counterpart.
  const recoloured = (value, by) => {
    if (typeof value === "string") return value.replace(/#[0-9a-f]{6}/g, colour => by[colour] || colour);
    if (Array.isArray(value)) return value.map(item => recoloured(item, by));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, recoloured(item, by)]));
    return value;
  };

  const draw = (div, chart) => {
    const { data, layout } = recoloured(chart, darkWanted.matches && !printing ? dark : {});
    layout.font = { ...layout.font, family };
    layout.width = printing ? PRINTED : div.clientWidth;
    layout.height = layout.width > 420 ? Math.min(layout.width * 0.94, 600) : layout.width * 0.98;
    if (layout.width < 460) {
      layout.font.size = 10;
      layout.margin = { l: 72, r: 72, t: 48, b: 42 };
      // No room for the words; the table above the radar has them.
      const axis = layout.polar.angularaxis;
      axis.ticktext = axis.ticktext.map(text => text.replace("<i>not measured</i>", "–"));
    }
    Plotly.react(div, data, layout, config);
  };

  const drawAll = () => shown.forEach((chart, div) => draw(div, chart));
  const print = on => {
    printing = on;
    drawAll();
  };
  darkWanted.addEventListener("change", drawAll);
  addEventListener("resize", () => requestAnimationFrame(() => {
    if (innerWidth === width || printing) return;
    width = innerWidth;
    drawAll();
  }));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));

  return {
    recoloured,
    show(div, chart) {
      shown.set(div, chart);
      draw(div, chart);
    },
  };
})();
