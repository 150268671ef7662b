// Keeps the pixels of small images sharp, and unfolds for print what was unfolded by choice only.
(() => {
  "use strict";
  for (const image of document.querySelectorAll(".gallery img")) {
    const sharpen = () => image.classList.toggle("pixels", image.naturalWidth < 96);
    if (image.complete) sharpen();
    else image.addEventListener("load", sharpen);
  }
  const folded = [...document.querySelectorAll("details:not(.folded)")];
  const print = on => folded.forEach(details => {
    if (on) details.dataset.was = details.open ? "open" : "";
    details.open = on || details.dataset.was === "open";
  });
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();
