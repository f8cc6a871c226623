for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => heading.addEventListener("click", () => {
    const down = heading.getAttribute("aria-sort") !== "descending";
    headings.forEach(other => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
    const rows = [...table.tBodies[0].rows].sort((a, b) => key(a).localeCompare(key(b), undefined, {numeric: true}));
    const number = row => Number(key(row));
    if (rows.every(row => !Number.isNaN(number(row)))) rows.sort((a, b) => number(a) - number(b));
    table.tBodies[0].append(...(down ? rows.reverse() : rows));
  }));
}
