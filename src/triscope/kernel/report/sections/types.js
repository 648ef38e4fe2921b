page.section("types", (root, data, bus) => {
  const { scores, labels, label } = bus.shared.rows;
  bus.on("zones", () => {
    const counts = {};
    scores.forEach((score, i) => {
      const mine = (counts[labels[label[i]]] ||= { pass: 0, review: 0, fail: 0 });
      mine[bus.judge(score)] += 1;
    });
    root.querySelectorAll("[data-type]").forEach((line) => {
      const mine = counts[line.dataset.type];
      line.querySelectorAll("[data-outcome]").forEach((cell) => { cell.textContent = mine[cell.dataset.outcome]; });
      const right = line.querySelector("[data-right]");
      const kept = right.dataset.right === "good" ? mine.pass : mine.review + mine.fail;
      right.textContent = `${(100 * kept / (mine.pass + mine.review + mine.fail)).toFixed(1)} %`;
    });
  });
});
