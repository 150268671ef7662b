// Keeps the pixels of small images sharp, and makes boxes that scroll, and only those, reachable by keyboard and say so. The page is whole without it.
(() => {
  "use strict";
  const reach = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
      const hint = box.nextElementSibling;
      if (hint?.classList.contains("scrolls")) hint.hidden = box.scrollHeight <= box.clientHeight;
    }
  };
  document.addEventListener("toggle", reach, true);
  addEventListener("resize", reach);
  reach();
  for (const image of document.querySelectorAll(".gallery img")) {
    const sharpen = () => image.classList.toggle("pixels", image.naturalWidth < 96);
    if (image.complete) sharpen();
    else image.addEventListener("load", sharpen);
  }
})();
