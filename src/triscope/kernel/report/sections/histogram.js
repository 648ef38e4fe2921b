page.section("histogram", (root, data, bus) => {
  const { scores, good } = bus.shared.rows;
  const place = root.querySelector('[data-part="chart"]');
  const finite = scores.filter((score) => score !== null);
  if (!finite.length) { place.textContent = "No scores."; return; }
  const decided = bus.shared.zones.fail_above !== undefined;
  const lines = decided ? [bus.shared.zones.review_above, bus.shared.zones.fail_above] : [];
  let low = Infinity, high = -Infinity;
  [...finite, ...lines].forEach((v) => { low = Math.min(low, v); high = Math.max(high, v); });
  const least = low, height = 240, top = 34, bottom = 26, bins = 72;
  const labelled = good.some((g) => g === 0);
  const box = root.querySelector('[data-part="log"]');
  // Distances of defects often spread over decades while the thresholds lie close together.
  let log = least > 0 && decided && high / least > 4 && (lines[1] - least) / (high - least) < 0.3;
  box.checked = log;
  box.closest("label").hidden = least <= 0;
  const scaled = (v) => log ? Math.log10(Math.max(v, least / 1e3)) : v;
  const raw = (v) => log ? 10 ** v : v;

  // Counts do not depend on the thresholds: bin once a scale, the colour follows the bin's middle.
  let up, down, most, from, to;
  const count = () => {
    const margin = (scaled(high) - scaled(least) || Math.abs(scaled(high)) || 1) * 0.04;
    from = scaled(least) - margin; to = scaled(high) + margin;
    up = new Array(bins).fill(0); down = new Array(bins).fill(0);
    scores.forEach((score, i) => {
      if (score === null) return;
      const bin = Math.min(bins - 1, Math.floor((scaled(score) - from) / (to - from) * bins));
      (good[i] === 0 ? down : up)[bin] += 1;
    });
    most = Math.max(1, ...up, ...down);
  };
  const middle = labelled ? top + (height - top - bottom) * 0.52 : height - bottom;
  // The square root keeps single parts visible beside hundreds.
  const tall = (count, room) => (count ? Math.max(2, Math.sqrt(count / most) * room) : 0);

  let width = 0;
  const x = (value) => (scaled(value) - from) / (to - from) * width;
  const value = (px) => raw(from + px / width * (to - from));
  const clamp = (v) => Math.min(raw(to), Math.max(raw(from), v));

  const draw = () => {
    width = Math.max(280, place.clientWidth);
    const focused = document.activeElement?.dataset?.handle;
    const svg = page.svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Histogram of scores" });
    drawZones(svg);
    drawBars(svg);
    drawAxis(svg);
    if (decided) ["review_above", "fail_above"].forEach((name) => svg.append(handle(name)));
    place.replaceChildren(svg);
    if (focused) svg.querySelector(`[data-handle="${focused}"]`)?.focus({ preventScroll: true });
  };

  const drawZones = (svg) => {
    if (!decided) return;
    const edges = [0, x(clamp(bus.zones.review_above)), x(clamp(bus.zones.fail_above)), width];
    ["pass", "review", "fail"].forEach((name, i) => {
      const wide = Math.max(0, edges[i + 1] - edges[i]);
      svg.append(page.svg("rect", { class: `zone-${name}`, x: edges[i], y: top, width: wide, height: height - top - bottom }));
    });
  };

  const drawBars = (svg) => {
    const wide = width / bins;
    for (let i = 0; i < bins; i += 1) {
      const centre = raw(from + (i + 0.5) / bins * (to - from));
      const style = decided ? bus.judge(centre) : "review";
      const add = (count, y, tallness, extra) => {
        if (!count) return;
        const bar = page.svg("rect", { class: `fill-${style} ${extra}`, x: i * wide + 0.5, y, width: Math.max(1, wide - 1), height: tallness });
        bar.append(page.svg("title"));
        bar.firstChild.textContent = `${count} at about ${page.short(centre)}`;
        svg.append(bar);
      };
      const above = tall(up[i], middle - top), below = tall(down[i], height - bottom - middle);
      add(up[i], middle - above, above, "");
      add(down[i], middle, below, "bad");
    }
  };

  const drawAxis = (svg) => {
    svg.append(page.svg("line", { class: "axis", x1: 0, x2: width, y1: middle, y2: middle }));
    let free = -Infinity;
    for (const tick of ticks()) {
      const at = x(tick);
      svg.append(page.svg("line", { class: "axis", x1: at, x2: at, y1: height - bottom, y2: height - bottom + 4 }));
      if (at < Math.max(free, 18) || at > width - 18) continue;
      free = at + 44;
      const text = page.svg("text", { x: at, y: height - 6, "text-anchor": "middle" });
      text.textContent = page.short(tick);
      svg.append(text);
    }
  };

  const ticks = () => {
    const found = [];
    if (log) {
      for (let power = Math.floor(from); power <= to; power += 1) {
        const steps = to - from < 3 ? [1, 1.5, 2, 3, 4, 5, 7] : [1];
        steps.forEach((m) => found.push(m * 10 ** power));
      }
      return found.filter((tick) => scaled(tick) >= from && scaled(tick) <= to);
    }
    const step = nice((to - from) / Math.max(2, Math.floor(width / 110)));
    for (let i = Math.ceil(from / step); i * step <= to; i += 1) found.push(i * step);
    return found;
  };

  const nice = (rough) => {
    const power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  };

  const move = (name, wanted) => {
    const other = name === "review_above" ? "fail_above" : "review_above";
    bus.zones[name] = clamp(wanted);
    if (bus.zones.review_above > bus.zones.fail_above) bus.zones[other] = bus.zones[name];
    bus.send("zones");
  };

  const handle = (name) => {
    const at = x(clamp(bus.zones[name]));
    const review = name === "review_above";
    const group = page.svg("g", {
      class: "handle", tabindex: 0, role: "slider", "data-handle": name, "aria-label": review ? "Review above" : "Fail above",
      "aria-valuenow": bus.zones[name], "aria-valuemin": raw(from), "aria-valuemax": raw(to), transform: `translate(${at} 0)`,
    });
    const y = review ? 28 : 13;
    group.append(page.svg("line", { y1: y + 3, y2: height - bottom }));
    group.append(page.svg("rect", { class: "grip", x: -9, y: 0, width: 18, height: height - bottom }));
    const crowded = review && x(clamp(bus.zones.fail_above)) - at < 150; // the other line is close
    const right = crowded ? at < 150 : at < width - 130;
    const text = page.svg("text", { x: right ? 4 : -4, y, "text-anchor": right ? "start" : "end" });
    text.textContent = `${review ? "review" : "fail"} above ${page.short(bus.zones[name])}`;
    group.append(text);
    return group;
  };

  // The chart is drawn anew while a line moves, so the listeners sit on its frame.
  let held = null;
  place.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest("[data-handle]");
    if (!grip) return;
    held = grip.dataset.handle;
    grip.focus({ preventScroll: true });
    event.preventDefault();
  });
  addEventListener("pointermove", (event) => {
    if (held) move(held, value(event.clientX - place.getBoundingClientRect().left));
  });
  ["pointerup", "pointercancel"].forEach((end) => addEventListener(end, () => { held = null; }));
  place.addEventListener("keydown", (event) => {
    const grip = event.target.closest("[data-handle]");
    const step = width / (event.shiftKey ? 1000 : 200); // in pixels
    const by = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -10 * step, PageUp: 10 * step }[event.key];
    if (!grip || by === undefined) return;
    event.preventDefault();
    move(grip.dataset.handle, value(x(clamp(bus.zones[grip.dataset.handle])) + by));
  });
  root.querySelectorAll("[data-zone]").forEach((input) => {
    input.addEventListener("change", () => {
      if (input.value !== "" && Number.isFinite(Number(input.value))) move(input.dataset.zone, Number(input.value));
      else input.value = bus.zones[input.dataset.zone];
    });
  });
  root.querySelector('[data-do="reset"]')?.addEventListener("click", () => {
    Object.assign(bus.zones, bus.shared.zones);
    bus.send("zones");
  });
  bus.on("zones", () => {
    root.querySelectorAll("[data-zone]").forEach((input) => { input.value = page.short(bus.zones[input.dataset.zone]); });
    draw();
  });
  box.addEventListener("change", () => { log = box.checked; count(); draw(); });
  count();
  new ResizeObserver(() => { if (place.clientWidth !== width) draw(); }).observe(place);
  draw();
});
