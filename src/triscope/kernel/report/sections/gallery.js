page.section("gallery", (root, data, bus) => {
  if (!data || !data.items.length) return;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const at_once = 20;
  const view = { filter: "all", order: "worst", shown: at_once, opacity: 0.5, layers: { heat: true, found: true, truth: false } };
  let list = [], open = -1;

  const wrong = (item) => {
    const outcome = bus.judge(item.score);
    return (item.good === 0 && outcome === "pass") || (item.good === 1 && outcome !== "pass");
  };
  const fits = (item, filter) => filter === "all" || (filter === "wrong" ? wrong(item) : bus.judge(item.score) === filter);
  const gap = (item) => item.score === null ? 0 : Math.min(...Object.values(bus.zones)
    .filter((v) => typeof v === "number").map((line) => Math.abs(item.score - line)));
  const high = (item) => item.score ?? Infinity;
  const orders = {
    worst: (a, b) => high(b) - high(a), best: (a, b) => high(a) - high(b),
    near: (a, b) => gap(a) - gap(b), name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  };

  // Heat: nothing below the low end, yellow about the pixel threshold, red above it.
  const [low, middle, top] = data.scale;
  const strength = (v) => v < middle ? 0.5 * (v - low) / (middle - low || 1) : 0.5 + 0.5 * (v - middle) / (top - middle || 1);
  const paint = (canvas, heat) => {
    const image = new Image();
    image.onload = () => {
      canvas.width = image.width; canvas.height = image.height;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      const pixels = context.getImageData(0, 0, image.width, image.height);
      for (let i = 0; i < pixels.data.length; i += 4) {
        const t = strength(heat.low + pixels.data[i] / 255 * (heat.high - heat.low));
        const hot = Math.min(1, Math.max(0, (t - 0.25) / 0.75));
        pixels.data.set([255, Math.round(225 * (1 - hot)), Math.round(40 * (1 - hot)), Math.round(255 * Math.min(1, Math.max(0, (t - 0.25) / 0.35)))], i);
      }
      context.putImageData(pixels, 0, 0);
    };
    image.src = `data:image/png;base64,${heat.png}`;
  };

  const path = (line) => `M${line.map((p) => p.join(" ")).join("L")}Z`;
  const shape = (finding) => {
    if (finding.outline) return path(finding.outline);
    if (!finding.box) return "";
    const [x0, y0, x1, y1] = finding.box;
    return path([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]);
  };
  // Names are drawn where there are several kinds of findings to tell apart.
  const named_classes = new Set(data.items.flatMap((item) => item.findings.map((f) => f.label))).size > 1;
  const stack = (item, named = false) => {
    const [h, w] = item.size;
    const made = page.element("div", { className: "stack" });
    made.style.setProperty("--r", w / h);
    made.append(page.element("img", { src: `data:image/jpeg;base64,${item.picture}`, alt: "", decoding: "async" }));
    if (item.heat) {
      const canvas = page.element("canvas");
      canvas.style.opacity = view.opacity;
      paint(canvas, item.heat);
      made.append(canvas);
    }
    const drawing = page.svg("svg", { viewBox: `0 0 ${w} ${h}`, "aria-hidden": "true" });
    const found = page.svg("g", { class: "layer-found" }), truth = page.svg("g", { class: "layer-truth" });
    item.findings.forEach((finding) => {
      const d = shape(finding);
      if (d) found.append(page.svg("path", { class: "halo", d }), page.svg("path", { class: "found", d }));
      if (d && named && finding.box) {
        const size = Math.max(h, w) / 34, [x0, y0] = finding.box;
        const name = page.svg("text", { x: x0, y: y0 > 1.4 * size ? y0 - 0.35 * size : y0 + 1.1 * size, "font-size": size });
        name.textContent = `${finding.label} ${page.short(Number(finding.score.toFixed(2)))}`;
        found.append(name);
      }
    });
    item.truth.forEach((line) => truth.append(page.svg("path", { class: "truth", d: path(line) })));
    drawing.append(found, truth);
    made.append(drawing);
    return made;
  };

  const tag = (item) => {
    const outcome = bus.judge(item.score);
    return page.element("span", { className: `tag ${outcome}`, textContent: outcome });
  };
  // A picture is decoded when its place comes near the window.
  const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
    if (!entry.isIntersecting) return;
    seen.unobserve(entry.target);
    entry.target.replaceChildren(stack(entry.target.item));
  }), { rootMargin: "400px" });
  const card = (item, number) => {
    const frame = page.element("div", { className: "frame", item });
    const label = [item.shows && `shows ${item.shows}`, item.label && `labelled ${item.label}`].filter(Boolean).join(", ");
    const made = page.element("button", { type: "button", className: "shot" }, frame, page.element("div", { className: "under" },
      page.element("div", { className: "line" }, tag(item), page.element("span", { textContent: page.short(item.score) })),
      ...(label ? [page.element("div", { textContent: label })] : []),
      page.element("div", { className: "name", title: item.name }, page.element("bdi", { textContent: item.name.slice(data.folder.length) }))));
    made.addEventListener("click", () => show(number));
    seen.observe(frame);
    return made;
  };

  const draw = () => {
    list = data.items.filter((item) => fits(item, view.filter)).sort(orders[view.order]);
    seen.disconnect();
    part("grid").replaceChildren(...list.slice(0, view.shown).map(card));
    if (!list.length) part("grid").append(page.element("p", { className: "quiet", textContent: "None of the pictures." }));
    part("more").hidden = list.length <= view.shown;
    part("more").textContent = `Show more (${list.length - view.shown} left)`;
    root.querySelectorAll("[data-number]").forEach((e) => {
      e.textContent = data.items.filter((item) => fits(item, e.dataset.number)).length;
    });
  };
  const layers = () => ["heat", "found", "truth"].forEach((name) => root.classList.toggle(`no-${name}`, !view.layers[name]));

  const findings = (item) => {
    if (!item.findings.length) return [page.element("p", { className: "quiet", textContent: "Nothing was marked in this capture." })];
    const names = [...new Set(item.findings.flatMap((f) => Object.keys(f.measures || {})))];
    const times = item.findings.some((f) => f.span_s) ? ["from (s)", "to (s)"] : [];
    const spelled = (name) => name.replace(/_(px|mm2|mm|s)$/, (_, unit) => ` (${unit === "mm2" ? "mm²" : unit})`).replaceAll("_", " ");
    const cells = (tagName, values) => values.map((v, i) => page.element(tagName, { textContent: v, className: i ? "number" : "" }));
    const table = page.element("table", {},
      page.element("thead", {}, page.element("tr", {}, ...cells("th", ["found", "score", ...times, ...names.map(spelled)]))),
      page.element("tbody", {}, ...item.findings.map((f) => page.element("tr", {}, ...cells("td",
        [f.label, page.short(f.score), ...times.map((_, i) => page.short(f.span_s?.[i])), ...names.map((name) => page.short(f.measures?.[name]))])))));
    const rest = item.found - item.findings.length;
    return [table, ...(rest > 0 ? [page.element("p", { className: "quiet", textContent: `and ${rest} weaker ones` })] : [])];
  };
  const show = (number) => {
    open = (number + list.length) % list.length;
    const item = list[open];
    part("name").textContent = `${item.name} (${open + 1} of ${list.length})`;
    part("large").replaceChildren(stack(item, named_classes));
    part("reason").replaceChildren(tag(item), ` score ${page.short(item.score)}${item.label ? `, labelled ${item.label}` : ""}. By the check: ${item.reason}.`);
    part("findings").replaceChildren(...findings(item));
    if (!part("dialog").open) part("dialog").showModal();
  };

  root.querySelectorAll("[data-filter]").forEach((button) => button.addEventListener("click", () => {
    view.filter = button.dataset.filter; view.shown = at_once;
    root.querySelectorAll("[data-filter]").forEach((b) => b.setAttribute("aria-pressed", b === button));
    draw();
  }));
  root.querySelectorAll("[data-layer]").forEach((button) => button.addEventListener("click", () => {
    const on = !view.layers[button.dataset.layer];
    view.layers[button.dataset.layer] = on;
    button.setAttribute("aria-pressed", on);
    layers();
  }));
  part("order").addEventListener("change", (event) => { view.order = event.target.value; draw(); });
  part("opacity")?.addEventListener("input", (event) => {
    view.opacity = event.target.value / 100;
    root.querySelectorAll("canvas").forEach((canvas) => { canvas.style.opacity = view.opacity; });
  });
  part("more").addEventListener("click", () => { view.shown += at_once; draw(); });
  part("close").addEventListener("click", () => part("dialog").close());
  part("dialog").addEventListener("click", (event) => { if (event.target === part("dialog")) part("dialog").close(); });
  root.querySelectorAll("[data-step]").forEach((b) => b.addEventListener("click", () => show(open + Number(b.dataset.step))));
  part("dialog").addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { event.preventDefault(); show(open + by); }
  });

  let waiting = 0;
  bus.on("zones", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(draw);
  });
  layers();
  draw();
});
