(() => {
  "use strict";
  const svg = document.querySelector("svg.twinml");
  const data = JSON.parse(document.getElementById("data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const width = data.right - data.left;
  let view = [data.from, data.to];
  const groups = [...svg.querySelectorAll("g.panel")];
  const make = (name, attributes, parent) => {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    parent.appendChild(node);
    return node;
  };
  const X = t => data.left + (t - view[0]) / (view[1] - view[0]) * width;
  const T = x => view[0] + (x - data.left) / width * (view[1] - view[0]);

  // Axes: the same counting as in the picture that came with the page.
  const decade = x => Math.floor(Math.log10(x) + 1e-9);
  const nice = (span, count) => {
    const raw = span / count, ten = Math.pow(10, decade(raw));
    return [1, 2, 2.5, 5, 10].map(s => s * ten).find(s => s >= raw * 0.999) || raw;
  };
  const decimals = step => {
    for (let d = 0; d < 12; d++) {
      const x = step * Math.pow(10, d);
      if (Math.round(x) !== 0 && Math.abs(x - Math.round(x)) < 1e-6 * x) return d;
    }
    return 12;
  };
  const text = (x, d) => {
    let [whole, rest] = Math.abs(x).toFixed(d).split(".");
    if (whole.length > 4) whole = whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
    const shown = rest ? whole + "." + rest : whole;
    return x < 0 && /[1-9]/.test(shown) ? "\u2212" + shown : shown;
  };
  const short = (name, most) => {
    const tail = Math.floor(most * 2 / 3);
    return name.length <= most ? name : name.slice(0, most - tail - 1) + "\u2026" + name.slice(-tail);
  };
  const UNITS = [["years", 31557600, 3 * 31557600, [1, 2, 5]], ["days", 86400, 3 * 86400, [1, 2, 5, 7, 14, 28, 50]],
    ["h", 3600, 3 * 3600, [.5, 1, 2, 3, 4, 6, 12, 24]], ["min", 60, 180, [.5, 1, 2, 5, 10, 15, 20, 30, 60]],
    ["s", 1, .5, [.1, .2, .5, 1, 2, 5, 10, 15, 20, 30, 60]], ["ms", 1e-3, 5e-4, []], ["us", 1e-6, 0, []]];
  const timeTicks = () => {
    const span = view[1] - view[0];
    const [unit, size, , steps] = UNITS.find(u => span >= u[2]) || UNITS[6];
    const lo = view[0] / size, hi = view[1] / size, wanted = (hi - lo) / 8;
    const step = steps.find(s => s >= wanted * .999) || nice(hi - lo, 8), d = decimals(step), out = [];
    for (let k = Math.ceil(lo / step - 1e-9); k <= hi / step + 1e-9; k++) out.push([k * step * size, text(k * step, d)]);
    return [unit, out];
  };
  const range = (panel, hidden) => {
    let lo = Infinity, hi = -Infinity;
    panel.series.forEach((s, n) => {
      if (hidden.has(n)) return;
      for (let k = 0; k < s.t.length; k++) {
        const v = s.v[k], inside = s.t[k] >= view[0] && s.t[k] <= view[1];
        const near = !inside && ((s.t[k + 1] > view[0] && s.t[k] < view[0]) || (s.t[k - 1] < view[1] && s.t[k] > view[1]));
        if (v !== null && (inside || near)) { if (v < lo) lo = v; if (v > hi) hi = v; }
      }
    });
    if (!(lo <= hi)) return [panel.lo, panel.hi];
    const size = Math.max(Math.abs(lo), Math.abs(hi));
    if (hi - lo <= 1e-12 * size || hi === lo) {
      const room = size === 0 ? 1 : .1 * size, mid = .5 * (lo + hi);
      return [mid - room, mid + room];
    }
    const near = .35 * (hi - lo), room = .05 * (hi - lo);
    return [lo >= 0 && lo <= near ? 0 : lo - room, hi <= 0 && -hi <= near ? 0 : hi + room];
  };

  const state = data.panels.map(() => ({ hidden: new Set(), lo: 0, hi: 1 }));
  const draw = k => {
    const panel = data.panels[k], group = groups[k], own = state[k], bottom = panel.top + panel.height;
    const named = panel.names.length > 0, whole = view[0] === data.from && view[1] === data.to && !own.hidden.size;
    [own.lo, own.hi] = named || whole ? [panel.lo, panel.hi] : range(panel, own.hidden);
    const Y = v => bottom - (v - own.lo) / (own.hi - own.lo) * panel.height;
    const grid = group.querySelector(".grid");
    grid.textContent = "";
    const [unit, ticks] = timeTicks(), last = k === data.panels.length - 1;
    for (const [t, label] of ticks) {
      const x = X(t).toFixed(1);
      make("line", { x1: x, x2: x, y1: panel.top, y2: bottom }, grid);
      if (last) make("text", { class: "tick mid", x, y: bottom + 17 }, grid).textContent = label;
    }
    const size = Math.max(Math.abs(own.lo), Math.abs(own.hi)), span = own.hi - own.lo;
    // A curve that hardly moves about a large value counts from a rounded value.
    const unit10 = 10 * nice(span, 1), base = span < 1e-4 * size ? Math.round(.5 * (own.lo + own.hi) / unit10) * unit10 : 0;
    const step = named ? 1 : nice(span, 5);
    const values = [];
    for (let n = Math.ceil((own.lo - base) / step); n <= (own.hi - base) / step && values.length < 40; n++) values.push(n * step);
    const most = Math.max(...values.map(Math.abs), 0);
    const exponent = most >= 1e5 || (most > 0 && most < 1e-2) ? decade(most) : 0, ten = Math.pow(10, exponent);
    const d = decimals(step / ten);
    for (const v of values) {
      const y = Y(v + base);
      make("line", { x1: data.left, x2: data.right, y1: y, y2: y, class: v + base === 0 ? "zero" : "" }, grid);
      make("text", { class: "tick end", x: data.left - 8, y: y + 4 }, grid).textContent = named ? short(panel.names[v], 11) : text(v / ten, d);
    }
    const heading = group.querySelector(".label");
    const power = heading.querySelector(".power");
    if (power) power.remove();
    if (exponent || base) {
      const note = make("tspan", { class: "power" }, heading);
      note.textContent = (base ? ` ${Number(base.toPrecision(15))} + ` : " ").replace("-", "\u2212") + (exponent ? "\u00d710" : "");
      if (exponent) make("tspan", { dy: -5, "font-size": 9 }, note).textContent = exponent;
    }
    if (last) make("text", { class: "tick end unit", x: data.right, y: bottom + 36 }, grid).textContent = `time [${unit}]`;
    group.querySelectorAll(".curve").forEach((curve, n) => {
      const s = panel.series[n];
      let path = "", pen = null;
      for (let i = 0; i < s.t.length; i++) {
        if (s.v[i] === null) { pen = null; continue; }
        if ((s.t[i + 1] < view[0]) || (s.t[i - 1] > view[1])) { pen = null; continue; }
        const x = X(s.t[i]), y = Y(s.v[i]);
        if (pen === null) path += `M${x.toFixed(1)} ${y.toFixed(1)}`;
        else if (s.steps && pen[1] !== y) path += `H${x.toFixed(1)}V${y.toFixed(1)}`;
        else if (Math.abs(x - pen[0]) < .05 && Math.abs(y - pen[1]) < .05) continue;
        else path += `L${x.toFixed(1)} ${y.toFixed(1)}`;
        pen = [x, y];
      }
      curve.setAttribute("d", path);
      curve.classList.toggle("off", own.hidden.has(n));
    });
  };
  const drawAll = () => data.panels.forEach((_, k) => draw(k));

  // The value of a curve at t.
  const at = (s, t) => {
    let lo = 0, hi = s.t.length - 1;
    if (hi < 0 || t < s.t[0] || t > s.t[hi]) return null;
    while (hi - lo > 1) { const mid = (lo + hi) >> 1; if (s.t[mid] <= t) lo = mid; else hi = mid; }
    const a = s.v[lo], b = s.v[hi];
    if (a === null || b === null) return a;
    if (s.steps || s.t[hi] === s.t[lo]) return t >= s.t[hi] ? b : a;
    return a + (b - a) * (t - s.t[lo]) / (s.t[hi] - s.t[lo]);
  };
  const sayTime = t => {
    const [unit, size] = UNITS.find(u => Math.max(Math.abs(t), (data.to - data.from) / 20) >= u[2]) || UNITS[6];
    return `${Number((t / size).toPrecision(6))} ${unit}`;
  };

  const over = make("g", { class: "over" }, svg);
  const point = e => {
    const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [Math.min(Math.max(p.x, data.left), data.right), p.y];
  };
  const inside = e => {
    const [, y] = point(e);
    return e.target.classList.contains("area") ||
      data.panels.some(p => y >= p.top && y <= p.top + p.height && e.target.closest(".panel") && !e.target.closest(".entry"));
  };
  const clear = () => {
    over.textContent = "";
    svg.querySelectorAll(".entry").forEach(entry => {
      const label = entry.querySelector("text");
      if (entry.dataset.name) label.textContent = entry.dataset.name;
    });
  };
  let drag = null;
  const hover = e => {
    clear();
    const [x] = point(e), t = T(x);
    const top = data.panels[0].top, end = data.panels[data.panels.length - 1], bottom = end.top + end.height;
    make("line", { class: "cursor", x1: x, x2: x, y1: top, y2: bottom }, over);
    make("text", { class: "tick mid value", x, y: top - 9 }, over).textContent = sayTime(t);
    data.panels.forEach((panel, k) => {
      const own = state[k];
      panel.series.forEach((s, n) => {
        if (own.hidden.has(n)) return;
        const v = at(s, t), entry = groups[k].querySelector(`.entry[data-series="${n}"]`);
        if (v === null || !entry) return;
        const y = panel.top + panel.height - (v - own.lo) / (own.hi - own.lo) * panel.height;
        if (y >= panel.top - 2 && y <= panel.top + panel.height + 2)
          make("circle", { class: "dot", cx: x, cy: y, r: 3.5, style: "fill:" + getComputedStyle(entry.querySelector("line")).stroke }, over);
        const label = entry.querySelector("text");
        if (!entry.dataset.name) entry.dataset.name = label.textContent;
        const name = entry.dataset.name.length > 14 ? "\u2026" + entry.dataset.name.slice(-13) : entry.dataset.name;
        const said = panel.names.length ? panel.names[v] : Number(v.toPrecision(5));
        label.textContent = `${name}  ${said} ${s.unit}`;
      });
    });
    if (drag !== null) make("rect", { class: "band", x: Math.min(drag, x), y: top, width: Math.abs(x - drag), height: bottom - top }, over);
  };
  svg.addEventListener("pointermove", e => { if (drag !== null || inside(e)) hover(e); else clear(); });
  svg.addEventListener("pointerleave", () => { if (drag === null) clear(); });
  svg.addEventListener("pointerdown", e => {
    if (e.button === 0 && inside(e)) { drag = point(e)[0]; svg.setPointerCapture(e.pointerId); }
  });
  svg.addEventListener("pointerup", e => {
    if (drag === null) return;
    const a = T(drag), b = T(point(e)[0]);
    const wide = Math.abs(point(e)[0] - drag) > 4;
    drag = null;
    if (wide && Math.abs(b - a) > 1e-12 * Math.abs(data.to - data.from)) { view = [Math.min(a, b), Math.max(a, b)]; drawAll(); }
    clear();
  });
  svg.addEventListener("dblclick", e => {
    if (e.target.closest(".entry")) return;
    view = [data.from, data.to];
    drawAll();
    clear();
  });
  svg.addEventListener("wheel", e => {
    if (!inside(e) || !(e.ctrlKey || e.metaKey || e.shiftKey)) return;
    e.preventDefault();
    const t = T(point(e)[0]), by = Math.pow(1.0015, e.deltaY || e.deltaX);
    view = [Math.max(data.from, t - (t - view[0]) * by), Math.min(data.to, t + (view[1] - t) * by)];
    drawAll();
    clear();
  }, { passive: false });
  groups.forEach((group, k) => group.querySelectorAll(".entry").forEach(entry => {
    const n = Number(entry.dataset.series), hidden = state[k].hidden;
    const flip = e => {
      if (e.altKey || e.detail > 1) {
        const others = data.panels[k].series.map((_, i) => i).filter(i => i !== n);
        const alone = others.every(i => hidden.has(i)) && !hidden.has(n);
        hidden.clear();
        if (!alone) others.forEach(i => hidden.add(i));
      } else if (!hidden.delete(n)) hidden.add(n);
      group.querySelectorAll(".entry").forEach(o => o.classList.toggle("off", hidden.has(Number(o.dataset.series))));
      draw(k);
      clear();
    };
    entry.addEventListener("click", flip);
    entry.addEventListener("keydown", e => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); flip(e); } });
    entry.addEventListener("pointerenter", () => group.querySelectorAll(".curve").forEach((c, i) => c.classList.toggle("dim", i !== n)));
    entry.addEventListener("pointerleave", () => group.querySelectorAll(".curve").forEach(c => c.classList.remove("dim")));
  }));
  drawAll();
})();
