// Draws the report's charts when they come into view, keeps the pixels of small images sharp, and makes what scrolls reachable by keyboard.
(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const drawn = new Set();
  const look = () => {
    for (const [id, chart] of Object.entries(charts)) {
      const div = document.getElementById(id);
      if (drawn.has(id) || !div || !div.clientWidth) continue;
      drawn.add(id);
      Charts.show(div, chart);
    }
    for (const box of document.querySelectorAll(".scroll")) {
      if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  document.addEventListener("toggle", look, true);
  addEventListener("resize", look);
  look();
  for (const image of document.querySelectorAll(".gallery img")) {
    const sharpen = () => image.classList.toggle("pixels", image.naturalWidth < 96);
    if (image.complete) sharpen();
    else image.addEventListener("load", sharpen);
  }
})();
