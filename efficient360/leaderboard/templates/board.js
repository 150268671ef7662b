// Sorts and filters each table, shows and hides its columns, and overlays the selected runs on its radar.
(() => {
  "use strict";
  const read = id => JSON.parse(document.getElementById(id).textContent);
  const boards = read("boards");
  const series = read("series");
  const [, accent] = series[0];
  const DASHES = ["solid", "dash", "dot", "dashdot"];
  const state = new URLSearchParams(location.hash.slice(1));
  const remember = (key, value) => {
    if (value) state.set(key, value);
    else state.delete(key);
    history.replaceState(null, "", `#${state}`);
  };
  const ticks = () => [...document.querySelectorAll(".runs tbody .pick input")];
  const picked = state.has("show") ? new Set(state.get("show").split(",")) : null;
  if (picked) ticks().forEach(tick => { tick.checked = picked.has(tick.closest("tr").dataset.run); });

  const setUp = (section, board) => {
    const body = section.querySelector(".runs tbody");
    const rows = [...body.rows];
    const headers = [...section.querySelectorAll(".runs thead button")];
    const count = section.querySelector(".count");

    const overlay = () => {
      const selected = rows.filter(row => row.querySelector(".pick input").checked);
      const data = selected.flatMap((row, index) => {
        const [role, colour] = series[index % series.length];
        row.style.setProperty("--mark", `var(--${role})`);
        const traces = Charts.recoloured(board.runs[row.dataset.run], { [accent]: colour });
        traces.forEach(trace => { trace.legendgroup = row.dataset.run; });
        traces[1].line.dash = DASHES[Math.floor(index / series.length) % DASHES.length];
        return traces;
      });
      Charts.show(section.querySelector(".radar"), { data, layout: { ...board.layout, showlegend: selected.length > 1 } });
    };

    const sort = (key, direction) => {
      const value = row => row.querySelector(key === "name" ? "th" : `td[data-key="${CSS.escape(key)}"]`)?.dataset.value;
      const sign = direction === "ascending" ? 1 : -1;
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return sign * (key === "name" ? x.localeCompare(y) : Number(x) - Number(y));
      };
      body.append(...[...rows].sort(order));
      headers.forEach(button => {
        const header = button.closest("th");
        if (button.dataset.sort === key) header.setAttribute("aria-sort", direction);
        else header.removeAttribute("aria-sort");
      });
    };

    const filter = text => {
      rows.forEach(row => { row.hidden = !text.split(/\s+/).every(word => row.dataset.text.includes(word)); });
      const left = rows.filter(row => !row.hidden).length;
      count.textContent = left === rows.length ? `${left} ${left === 1 ? "run" : "runs"}` : `${left} of ${rows.length} runs`;
    };

    headers.forEach(button => button.addEventListener("click", () => {
      const now = button.closest("th").getAttribute("aria-sort");
      const direction = now === null ? button.dataset.first : now === "ascending" ? "descending" : "ascending";
      sort(button.dataset.sort, direction);
      remember("sort", `${button.dataset.sort}:${direction}`);
    }));
    section.querySelector(".filter").addEventListener("input", event => filter(event.target.value.trim().toLowerCase()));
    section.querySelectorAll("[data-column]").forEach(box => box.addEventListener("change", () => {
      section.querySelectorAll(`.runs [data-key="${CSS.escape(box.dataset.column)}"]`).forEach(cell => { cell.hidden = !box.checked; });
    }));
    rows.forEach(row => row.querySelector(".pick input").addEventListener("change", () => {
      overlay();
      remember("show", ticks().filter(tick => tick.checked).map(tick => tick.closest("tr").dataset.run).join(",") || "none");
    }));

    filter("");
    const [key, direction] = [state.get("sort")?.replace(/:[a-z]+$/, ""), state.get("sort")?.split(":").at(-1)];
    const first = headers.find(button => button.dataset.sort === key) || headers[1];
    if (first) sort(first.dataset.sort, first.dataset.sort === key && ["ascending", "descending"].includes(direction) ? direction : first.dataset.first);
    overlay();
  };

  document.querySelectorAll(".board").forEach(section => setUp(section, boards[Number(section.dataset.board)]));
})();
