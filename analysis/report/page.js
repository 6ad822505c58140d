"use strict";
// A click on a heading sorts its table, upwards and downwards in turn, each group of rows within itself. What is sorted
// stands in the address, as #sort=<table>:<column>:<ascending|descending>, so that a link opens the page like that.

const key = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
};

// Numbers before words, and fields without a value last, whichever way the table is sorted.
const compare = (a, b, sign) => {
  const rank = (value) => (typeof value === "number" ? 0 : value === "–" || value === "" ? 2 : 1);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  return typeof a === "number" ? sign * (a - b) : sign * a.localeCompare(b, "en", { numeric: true });
};

const sort = (table, column, direction) => {
  const headings = [...table.tHead.rows[0].cells];
  if (!headings[column]) return;
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.classList.contains("heading"));
    const keyed = rows.map((row) => [key(row, column), row]);
    keyed.sort(([a], [b]) => compare(a, b, sign));
    body.append(...keyed.map(([, row]) => row));
  }
};

const tables = [...document.querySelectorAll("table.sortable")];

for (const table of tables) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const next = heading.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
      const first = column === 0 && !heading.hasAttribute("aria-sort") ? "ascending" : next;
      sort(table, column, first);
      history.replaceState(null, "", `#sort=${table.dataset.name}:${column}:${first}`);
    });
  });
}

const follow = () => {
  const found = /^#sort=([\w-]+):(\d+):(ascending|descending)$/.exec(location.hash);
  const table = found && tables.find((each) => each.dataset.name === found[1]);
  if (!table) return;
  table.closest("details")?.setAttribute("open", "");
  sort(table, Number(found[2]), found[3]);
  table.closest("section").scrollIntoView();
};
addEventListener("hashchange", follow);
follow();
