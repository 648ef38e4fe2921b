page.section("verdicts", (root, data, bus) => {
  const { scores, good } = bus.shared.rows;
  const recount = () => {
    const counts = { pass: 0, review: 0, fail: 0, escaped: 0, rejected: 0, looked_at: 0 };
    scores.forEach((score, i) => {
      const outcome = bus.judge(score);
      counts[outcome] += 1;
      if (good[i] === 0 && outcome === "pass") counts.escaped += 1;
      if (good[i] === 1 && outcome === "fail") counts.rejected += 1;
      if (good[i] === 1 && outcome === "review") counts.looked_at += 1;
    });
    root.querySelectorAll("[data-count]").forEach((e) => { e.textContent = counts[e.dataset.count]; });
    root.querySelectorAll("[data-share]").forEach((e) => {
      e.textContent = scores.length ? `${(100 * counts[e.dataset.share] / scores.length).toFixed(1)} %` : "";
    });
    const original = bus.shared.zones;
    root.querySelector(".moved").hidden =
      original.review_above === bus.zones.review_above && original.fail_above === bus.zones.fail_above;
  };
  root.querySelector('[data-do="reset"]').addEventListener("click", () => {
    Object.assign(bus.zones, bus.shared.zones);
    bus.send("zones");
  });
  bus.on("zones", recount);
});
