// A button at every table (copy as CSV, Markdown, LaTeX; save as CSV) and at every drawing (save as SVG, PNG). Nothing leaves the page.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("export").textContent);
  const HIDDEN = ".unseen, .only-narrow, .meaning, .direction, svg, button, [data-copy=no]";
  const DRAWN_TO = 3;  // pixels of a PNG for one px
  const FONT = "'Liberation Sans', Arial, Helvetica, 'DejaVu Sans', sans-serif";

  // An element's text on one line without explanations; parts that stand below one another are joined by a comma.
  const line = element => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll(HIDDEN).forEach(part => part.remove());
    return [...copy.childNodes].map(node => node.textContent.replace(/\s+/g, " ").trim()).filter(Boolean).join(", ");
  };

  // Rows of texts, spanned cells filled with empty ones. The head of a group goes before the name of each of its rows; notes across a table are left out.
  const grid = table => {
    const wide = table.rows[0].cells.length;
    let group = "";
    return [...table.rows].flatMap(row => {
      const [first] = row.cells;
      const across = row.cells.length === 1 && first.colSpan === wide && wide > 1;
      if (first?.scope === "rowgroup") group = line(first);
      else if (!row.classList.contains("again")) group = "";
      if (across) return [];
      const cells = [...row.cells].flatMap(td => [line(td), ...Array(td.colSpan - 1).fill("")]);
      return [group ? [[group, cells[0]].filter(Boolean).join(", "), ...cells.slice(1)] : cells];
    });
  };

  const number = text => /^[-+−±≈≤≥<>]?\s?[\d.]/.test(text) || ["–", "—", ""].includes(text);
  const shape = table => {
    const [columns, ...rows] = grid(table);
    const whole = rows.filter(row => row.some(Boolean)).map(row => columns.map((_, i) => row[i] ?? ""));
    const right = columns.map((_, i) => i > 0 && whole.some(row => row[i]) && whole.every(row => number(row[i])));
    return { columns, rows: whole, right };
  };

  const formula = text => /^[=+@\t\r-]/.test(text) && !/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? `'${text}` : text;
  const quoted = text => /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  const csv = ({ columns, rows }) => [columns, ...rows].map(row => row.map(text => quoted(formula(text))).join(",") + "\r\n").join("");

  const plain = text => text.replace(/([\\`*_[\]<>|~#&])/g, "\\$1");
  const markdown = ({ columns, rows, right }) => {
    const row = cells => `| ${cells.join(" | ")} |\n`;
    return row(columns.map(plain)) + row(right.map(is => is ? "---:" : ":---")) + rows.map(cells => row(cells.map(plain))).join("");
  };

  const tex = text => {
    const escaped = [...text].map(c => data.latex[c] ?? c).join("");
    return /^[[*]/.test(escaped) ? `{${escaped[0]}}${escaped.slice(1)}` : escaped;
  };
  const latex = ({ columns, rows, right }, title) => {
    const row = cells => `${cells.map(tex).join(" & ")} \\\\\n`;
    const caption = title ? `\\caption{${tex(title)}}\n` : "";
    return `\\begin{table}\n\\centering\n${caption}\\begin{tabular}{${right.map(is => is ? "r" : "l").join("")}}\n\\toprule\n${row(columns)}\\midrule\n` +
      `${rows.map(row).join("")}\\bottomrule\n\\end{tabular}\n\\end{table}\n`;
  };

  const copy = async text => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages from a folder or without permission have no clipboard of their own.
      const area = document.body.appendChild(document.createElement("textarea"));
      area.value = text;
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };

  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  // A drawing as a file of its own, in the light theme whatever the page shows.
  const drawing = svg => {
    const copy = svg.cloneNode(true);
    const { width, height } = svg.viewBox.baseVal;
    Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height, "font-family": FONT }).forEach(([key, value]) => copy.setAttribute(key, value));
    copy.removeAttribute("class");
    const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    Object.entries({ width, height, fill: "var(--paper)" }).forEach(([key, value]) => paper.setAttribute(key, value));
    copy.prepend(paper);
    return new XMLSerializer().serializeToString(copy).replace(/var\(--([a-z]+)\)/g, (whole, role) => data.light[role] ?? whole);
  };
  const png = async svg => {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawing(svg))}`;
    await image.decode();
    const { width, height } = svg.viewBox.baseVal;
    const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(width * DRAWN_TO), height: Math.round(height * DRAWN_TO) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise(done => canvas.toBlob(done, "image/png"));
  };

  const file = (title, suffix) => `${`${data.name} ${title}`.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 100)}.${suffix}`;
  const text = (content, type) => new Blob([content], { type: `${type};charset=utf-8` });
  const ofTable = (table, title) => [
    ["Copy as CSV", () => copy(csv(shape(table)))],
    ["Copy as Markdown", () => copy(markdown(shape(table)))],
    ["Copy as LaTeX", () => copy(latex(shape(table), title))],
    ["Save as CSV", () => save(text(csv(shape(table)), "text/csv"), file(title, "csv"))],
  ];
  const ofDrawing = (find, title) => [
    ["Save as SVG", () => save(text(drawing(find()), "image/svg+xml"), file(title, "svg"))],
    ["Save as PNG", async () => save(await png(find()), file(title, "png"))],
  ];

  const menu = document.body.appendChild(document.createElement("div"));
  menu.className = "export-menu";
  menu.setAttribute("role", "menu");
  menu.hidden = true;
  const said = document.body.appendChild(document.createElement("p"));
  said.className = "unseen";
  said.setAttribute("role", "status");
  let opener = null;
  const close = back => {
    if (!opener) return;
    menu.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    if (back) opener.focus();
    opener = null;
  };
  const open = (button, choices) => {
    menu.replaceChildren(...choices.map(([name, act]) => {
      const item = document.createElement("button");
      item.type = "button";
      item.setAttribute("role", "menuitem");
      item.textContent = name;
      item.addEventListener("click", async () => {
        await act();
        said.textContent = name.startsWith("Copy") ? "Copied." : "Saved.";
        button.classList.add("done");
        setTimeout(() => button.classList.remove("done"), 1500);
        close(true);
      });
      return item;
    }));
    opener = button;
    button.setAttribute("aria-expanded", "true");
    menu.hidden = false;
    const at = button.getBoundingClientRect();
    const left = Math.min(at.right - menu.offsetWidth, document.documentElement.clientWidth - menu.offsetWidth - 8);
    menu.style.left = `${Math.max(8, left) + scrollX}px`;
    menu.style.top = `${at.bottom + 4 + scrollY}px`;
    menu.firstElementChild.focus();
  };
  menu.addEventListener("keydown", event => {
    const items = [...menu.children];
    const now = items.indexOf(document.activeElement);
    const next = { ArrowDown: now + 1, ArrowUp: now - 1 + items.length, Home: 0, End: items.length - 1 }[event.key];
    if (next !== undefined) items[next % items.length].focus();
    else if (event.key === "Escape") close(true);
    else if (event.key === "Tab") close(false);
    else return;
    if (event.key !== "Tab") event.preventDefault();
  });
  addEventListener("click", event => { if (opener && !menu.contains(event.target) && event.target !== opener) close(false); });

  const button = (title, choices) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "export";
    made.setAttribute("aria-haspopup", "menu");
    made.setAttribute("aria-expanded", "false");
    made.setAttribute("aria-label", `Copy or save: ${title}`);
    made.title = "Copy or save";
    made.addEventListener("click", () => opener === made ? close(true) : open(made, choices()));
    return made;
  };
  // A figure's caption; elsewhere the section's heading with that of the fold or region.
  const titled = element => {
    const caption = element.closest("figure")?.querySelector("figcaption, summary");
    if (caption) return line(caption);
    const section = element.closest("section")?.querySelector("h1, h2");
    const fold = element.closest("details:not(.more)")?.querySelector("summary");
    const part = fold ? line(fold) : element.closest("details") ? "details" : "";
    return [section ? line(section) : "", part].filter(Boolean).join(": ");
  };
  const above = (element, made) => {
    const row = document.createElement("div");
    row.className = "export-row";
    row.append(made);
    element.before(row);
  };

  for (const table of document.querySelectorAll("main table")) {
    if (!table.tHead) continue;
    const title = titled(table);
    above(table.closest(".scroll") ?? table, button(title, () => ofTable(table, title)));
  }
  for (const first of document.querySelectorAll("main svg.drawing:not(.narrow)")) {
    const title = first.closest("figure") ? titled(first) : "radar";
    const shown = () => first.getClientRects().length ? first : first.parentElement.querySelector("svg.narrow") ?? first;
    above(first, button(title, () => ofDrawing(shown, title)));
  }
})();
