// Draws the report's charts in their places, and keeps the pixels of small images sharp.
(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("charts").textContent);
  Object.entries(charts).forEach(([id, chart]) => Charts.show(document.getElementById(id), chart));
  for (const image of document.querySelectorAll(".gallery img")) {
    const sharpen = () => image.classList.toggle("pixels", image.naturalWidth < 96);
    if (image.complete) sharpen();
    else image.addEventListener("load", sharpen);
  }
})();
