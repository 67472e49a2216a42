// SPDX-License-Identifier: MIT
// Sorting and hovering. All there is to read is in the page without it.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, place) => {
    heading.querySelector("button")?.addEventListener("click", () => {
      const is_number = heading.classList.contains("n");
      const was = heading.getAttribute("aria-sort");
      const descending = was ? was === "ascending" : is_number;
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const value = row => is_number ? BigInt(row.cells[place].dataset.value) : row.cells[place].textContent;
      const rows = [...table.tBodies[0].rows].map(row => [value(row), row]);
      const key_class = row => Number(row.dataset.class);  // waits first
      rows.sort(([a, x], [b, y]) => key_class(x) - key_class(y) || (a < b ? -1 : a > b ? 1 : 0) * (descending ? -1 : 1));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}

const tip = document.getElementById("tip");
function cell_text(svg, column, event) {
  const box = svg.getBoundingClientRect();
  const y = (event.clientY - box.top) / box.height * 1000;
  const edges = svg.dataset.rows.trim().split(" ").map(edge => edge.split(":"));
  const row = edges.findIndex((edge, i) => i + 1 < edges.length && y <= Number(edge[0]) && y >= Number(edges[i + 1][0]));
  if (row < 0) return "";
  const cell = column.dataset.cells.split(" ").find(one => one.startsWith(row + ":"));
  return "\n" + (cell ? cell.split(":")[1] : "none") + " of " + edges[row][1] + " to " + edges[row + 1][1];
}
for (const svg of document.querySelectorAll(".map svg")) {
  svg.addEventListener("pointermove", event => {
    const column = event.target.closest(".column");
    tip.hidden = !column;
    if (!column) return;
    tip.textContent = column.dataset.text + cell_text(svg, column, event);
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const above = event.clientY + 18 + tip.offsetHeight > innerHeight;
    tip.style.left = Math.max(left, 8) + "px";
    tip.style.top = (above ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18) + "px";
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });
}
