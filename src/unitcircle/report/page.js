"use strict";
// Values on hover: every marked group of the figures has one label a marker, or one a vertex of its curve.
(() => {
  const labels = JSON.parse(document.getElementById("hover").textContent);
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = (event, text) => {
    tip.textContent = text;
    tip.hidden = false;
    const x = Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8);
    const y = Math.max(event.clientY - tip.offsetHeight - 8, 4);
    tip.style.left = `${Math.max(x, 4)}px`;
    tip.style.top = `${y}px`;
  };
  const vertices = (path) =>
    [...path.getAttribute("d").matchAll(/[ML]\s*([-\d.e]+)[ ,]+([-\d.e]+)/g)].map((m) => [Number(m[1]), Number(m[2])]);
  const markers = (uses, texts) => uses.forEach((use, k) => {
    use.addEventListener("pointermove", (event) => show(event, texts[k]));
    use.addEventListener("pointerleave", hide);
  });
  const curve = (path, texts) => {
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
  };
  for (const [id, texts] of Object.entries(labels)) {
    const group = document.getElementById(id);
    if (!group) continue;
    const uses = group.querySelectorAll("use");
    if (uses.length) markers(uses, texts);
    else group.querySelectorAll("path").forEach((path) => curve(path, texts));
  }
})();
