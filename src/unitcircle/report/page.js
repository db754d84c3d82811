"use strict";
// Values on hover and by arrow keys; tables that can be sorted, filtered and unfolded; code that can be copied.
(() => {
  const labels = JSON.parse(document.getElementById("hover").textContent);
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = (at, text) => {
    tip.textContent = text;
    tip.hidden = false;
    const x = Math.min(at.clientX + 12, window.innerWidth - tip.offsetWidth - 8);
    const y = Math.max(at.clientY - tip.offsetHeight - 8, 4);
    tip.style.left = `${Math.max(x, 4)}px`;
    tip.style.top = `${y}px`;
  };
  const vertices = (path) =>
    [...path.getAttribute("d").matchAll(/[ML]\s*([-\d.e]+)[ ,]+([-\d.e]+)/g)].map((m) => [Number(m[1]), Number(m[2])]);
  const middle = (element) => {
    const box = element.getBoundingClientRect();
    return { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
  };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  // Where an arrow key leads among so many stops; null for another key.
  const walk = (event, at, count) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -count, End: count }[event.key];
    if (!step) return null;
    event.preventDefault();
    return Math.min(Math.max(at + step, 0), count - 1);
  };
  const shown = new Map(); // figure → what the arrow keys walk through: pairs of a place on the screen and its label
  const keep = (group, stops) => {
    const svg = group.closest("svg");
    if (!shown.has(svg)) shown.set(svg, []);
    shown.get(svg).push(...stops);
  };
  const markers = (group, uses, texts) => {
    uses.forEach((use, k) => {
      use.addEventListener("pointermove", (event) => show(event, texts[k]));
      use.addEventListener("pointerleave", hide);
    });
    keep(group, [...uses].map((use, k) => [() => middle(use), texts[k]]));
  };
  const curve = (group, path, texts) => {
    const points = vertices(path);
    // A thin curve is hard to hit: an invisible wide copy takes the pointer.
    const target = path.cloneNode();
    target.setAttribute("style", "fill: none; stroke: transparent; stroke-width: 12; pointer-events: stroke");
    path.parentNode.append(target);
    target.addEventListener("pointermove", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(path.getScreenCTM().inverse());
      let best = 0;
      points.forEach(([x], k) => { if (Math.abs(x - at.x) < Math.abs(points[best][0] - at.x)) best = k; });
      show(event, texts[best]);
    });
    target.addEventListener("pointerleave", hide);
    const place = ([x, y]) => {
      const at = new DOMPoint(x, y).matrixTransform(path.getScreenCTM());
      return { clientX: at.x, clientY: at.y };
    };
    keep(group, points.map((point, k) => [() => place(point), texts[k]]));
  };
  for (const [id, texts] of Object.entries(labels)) {
    const group = document.getElementById(id);
    if (!group) continue;
    const uses = group.querySelectorAll("use");
    if (uses.length) markers(group, uses, texts);
    else group.querySelectorAll("path").forEach((path) => curve(group, path, texts));
  }
  shown.forEach((stops, svg) => {
    let at = -1;
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("aria-label", `${svg.getAttribute("aria-label")}; ${stops.length} values, with the arrow keys`);
    svg.addEventListener("keydown", (event) => {
      const next = walk(event, at, stops.length);
      if (next === null) return;
      at = next;
      show(stops[at][0](), stops[at][1]);
    });
    svg.addEventListener("blur", hide);
  });
  // A map is one stop of the Tab key, however many places it has.
  document.querySelectorAll(".map").forEach((map) => {
    const tiles = [...map.querySelectorAll(".tile")];
    tiles.forEach((tile, k) => { tile.tabIndex = k ? -1 : 0; });
    map.setAttribute("aria-label", `${map.getAttribute("aria-label")}; ${tiles.length} places, with the arrow keys`);
    map.addEventListener("keydown", (event) => {
      const at = tiles.indexOf(document.activeElement);
      const next = walk(event, at, tiles.length);
      if (next === null) return;
      tiles[at].tabIndex = -1;
      tiles[next].tabIndex = 0;
      tiles[next].focus();
    });
  });
  document.querySelectorAll("[data-tip]").forEach((element) => {
    element.addEventListener("pointermove", (event) => show(event, element.dataset.tip));
    element.addEventListener("focus", () => show(middle(element), element.dataset.tip));
    for (const end of ["pointerleave", "blur"]) element.addEventListener(end, hide);
  });

  // The order of a cell: of numbers by size, even where they are beyond the range of floats (10^-2186).
  const size = (text) => {
    const number = text.replace(/^.*×/, "").replaceAll("−", "-").replaceAll(",", "").match(/^([-+]?)(?:10\^([-+]?\d+)|(\d*\.?\d+)(?:e([-+]?\d+))?|(∞))/);
    if (!number) return null;
    const log = number[5] ? 1e9 : number[2] ? Number(number[2]) : Math.log10(Number(number[3])) + Number(number[4] ?? 0);
    return log === -Infinity ? 0 : (number[1] === "-" ? -1 : 1) * (log + 1e5);
  };
  const make = (name, properties) => Object.assign(document.createElement(name), properties);
  document.querySelectorAll("table").forEach((table) => {
    const grouped = table.tBodies.length > 1;
    const units = grouped ? [...table.tBodies] : [...(table.tBodies[0]?.rows ?? [])];
    const home = grouped ? table : table.tBodies[0];
    const rows = (unit) => (grouped ? [...unit.rows] : [unit]);
    if (units.length < 2) return;
    const fold = Number(table.dataset.fold ?? Infinity);
    const search = make("input", { type: "search", placeholder: "filter" });
    search.setAttribute("aria-label", `Filter: ${table.caption.textContent}`);
    const count = make("output", {});
    const more = make("button", { type: "button", textContent: `show all ${units.length}` });
    let order = units, open = false;
    const refresh = () => {
      const words = search.value.trim().toLowerCase();
      const found = order.filter((unit) => !words || unit.textContent.toLowerCase().includes(words));
      const visible = new Set(words || open ? found : found.slice(0, fold));
      order.forEach((unit) => { unit.hidden = !visible.has(unit); });
      more.hidden = Boolean(words) || open || units.length <= fold;
      count.textContent = visible.size < units.length ? `${visible.size} of ${units.length} shown` : "";
    };
    const sort = (k, direction) => {
      const cells = new Map(units.map((unit) => [unit, rows(unit).map((row) => row.cells[k].textContent.trim()).filter(Boolean)]));
      const key = (unit) => {
        const sizes = cells.get(unit).map(size).filter((value) => value !== null);
        return sizes.length ? Math.max(...sizes) : null;
      };
      const keys = new Map(units.map((unit) => [unit, key(unit)]));
      const text = (unit) => cells.get(unit)[0] ?? "";
      // What is no number stands at the end, whichever way the numbers are sorted.
      const compare = (a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        if (x === null && y === null) return direction * text(a).localeCompare(text(b), undefined, { numeric: true });
        return x === null ? 1 : y === null ? -1 : direction * (x - y);
      };
      order = direction ? [...units].sort(compare) : units;
      order.forEach((unit) => home.append(unit));
      refresh();
    };
    [...table.tHead.rows[0].cells].forEach((cell, k, all) => {
      const button = make("button", { type: "button" });
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "" }[cell.getAttribute("aria-sort")] ?? "ascending";
        all.forEach((other) => other.removeAttribute("aria-sort"));
        if (next) cell.setAttribute("aria-sort", next);
        sort(k, { ascending: 1, descending: -1 }[next] ?? 0);
      });
    });
    if (units.length > 8) {
      const tools = make("div", { className: "tools" });
      tools.append(search, more, count);
      table.parentNode.before(tools);
      search.addEventListener("input", refresh);
      more.addEventListener("click", () => { open = true; refresh(); });
    }
    // The address of a folded row unfolds the table.
    const reveal = () => {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (!target || !table.contains(target)) return;
      search.value = "";
      open ||= units.some((unit) => unit.hidden && unit.contains(target));
      refresh();
      target.scrollIntoView({ block: "center" });
    };
    window.addEventListener("hashchange", reveal);
    refresh();
    reveal();
  });
  document.querySelectorAll("code.copy").forEach((code) => {
    const button = make("button", { type: "button", className: "copy", textContent: "copy" });
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    });
    code.after(" ", button);
  });
})();
