"use strict";
(() => {
  // A click on a header sorts by its column: first upwards, then downwards. Unknown values stay last.
  const text = new Intl.Collator("en", { numeric: true });
  const value = (row, index) => {
    const cell = row.cells[index];
    return cell.hasAttribute("data-value") ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : text.compare(a, b));
  for (const button of document.querySelectorAll("th > button")) {
    button.addEventListener("click", () => {
      const header = button.parentElement;
      const table = header.closest("table");
      const index = header.cellIndex;
      const down = header.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = Array.from(body.rows, (row) => [value(row, index), row]);
      const known = rows.filter(([found]) => found !== "–");
      const unknown = rows.filter(([found]) => found === "–");
      known.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
      body.append(...known.map(([, row]) => row), ...unknown.map(([, row]) => row));
    });
  }

  // Tables that are wider than the page say so, and on which side more of them is.
  const sides = (box) => {
    const more = box.scrollWidth > box.clientWidth + 1;
    const end = box.scrollLeft + box.clientWidth >= box.scrollWidth - 1;
    if (more) box.parentElement.dataset.more = end ? "end" : "start";
    else delete box.parentElement.dataset.more;
  };
  const seen = new ResizeObserver((entries) => entries.forEach((entry) => sides(entry.target)));
  for (const box of document.querySelectorAll(".scroll")) {
    seen.observe(box);
    box.addEventListener("scroll", () => sides(box), { passive: true });
  }

  // Light, dark, or as the system has it. A page that may keep nothing forgets the choice.
  const button = document.querySelector(".theme");
  const themes = ["auto", "light", "dark"];
  const show = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `colours: ${theme}`;
  };
  let chosen = "auto";
  try { chosen = localStorage.getItem("siliquant-theme") || "auto"; } catch { /* not allowed */ }
  show(themes.includes(chosen) ? chosen : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    chosen = themes[(themes.indexOf(chosen) + 1) % themes.length];
    show(chosen);
    try { localStorage.setItem("siliquant-theme", chosen); } catch { /* not allowed */ }
  });
})();
