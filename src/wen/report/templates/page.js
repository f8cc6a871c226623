// On a narrow screen, the cells of a row are stacked, each labelled with the heading of its column.
for (const table of document.querySelectorAll("table")) {
  const headings = table.tHead ? [...[...table.tHead.rows].at(-1).cells] : [];
  const labels = headings.flatMap(heading => Array(heading.colSpan).fill(heading.textContent.trim()));
  for (const row of table.tBodies[0]?.rows ?? []) {
    let column = 0;
    for (const cell of row.cells) {
      cell.dataset.label = labels[column] ?? "";
      column += cell.colSpan;
    }
  }
}
// Folded parts are printed as well.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => part.open = true));
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.addEventListener("click", () => {
    const down = heading.getAttribute("aria-sort") !== "descending";
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
    const all = [...table.tBodies[0].rows];
    const isUndefined = row => ["", "–"].includes(key(row));
    const rows = all.filter(row => !isUndefined(row)).sort((a, b) => key(a).localeCompare(key(b), undefined, {numeric: true}));
    const number = row => Number(key(row));
    if (rows.every(row => !Number.isNaN(number(row)))) rows.sort((a, b) => number(a) - number(b));
    table.tBodies[0].append(...(down ? rows.reverse() : rows), ...all.filter(isUndefined));
  }));
}
