// Times graphs in turn, then moves a pointer over the picture and counts what stays responsive.
const ask = new URLSearchParams(location.search);
const threads = Number(ask.get("threads") ?? 1), rounds = Number(ask.get("rounds") ?? 8);
const size = 1024, graphs = ["published", "ours"];
const worker = new Worker("worker.js", { type: "module" });
const embedding = Float32Array.from({ length: 256 * 64 * 64 }, (_, i) => Math.sin(i * 12.9898) * 2);

// What is timed is the same on both sides: the 256 x 256 masks first; the page enlarges them. The
// published graph always draws at full size, so it is asked for the smallest picture.
const draw = { published: [1, 1], ours: [0, 0] };

function told(kind, graph) {
  return new Promise((done) => {
    const hear = ({ data }) => {
      if (data.kind !== kind || (graph && data.graph !== graph)) return;
      worker.removeEventListener("message", hear);
      done(data);
    };
    worker.addEventListener("message", hear);
  });
}

async function bench() {
  const times = {};
  for (const graph of graphs) {
    const opened = told("opened", graph);
    worker.postMessage({ kind: "open", graph, url: `${graph}.onnx`, threads });
    await opened;
    times[graph] = [];
  }
  for (let turn = 0; turn < 4; turn++) {
    for (const graph of graphs) {
      const timed = told("timed", graph);
      worker.postMessage({ kind: "time", graph, embedding, size, draw: draw[graph], rounds: turn ? rounds / 2 : 1 });
      const found = (await timed).times;
      if (turn) times[graph].push(...found); // the first turn warms up
    }
  }
  return times;
}

// Hovers every 15 ms for two seconds: frames of the page, answers and drops are counted.
async function hover() {
  let frames = 0, answers = 0, dropped = 0, longest = 0, last = performance.now(), going = true;
  const frame = (now) => { frames++; longest = Math.max(longest, now - last); last = now; if (going) requestAnimationFrame(frame); };
  worker.addEventListener("message", ({ data }) => {
    answers += data.kind === "hovered";
    dropped += data.kind === "dropped";
  });
  requestAnimationFrame(frame);
  const start = performance.now();
  for (let number = 1; performance.now() - start < 2000; number++) {
    worker.postMessage({ kind: "hover", graph: "ours", embedding, x: 100 + number, y: 300, size, draw: [0, 0], number });
    await new Promise((done) => setTimeout(done, 15));
  }
  going = false;
  return { frames, answers, dropped, longest_frame_ms: Math.round(longest) };
}

const sorted = (times) => [...times].sort((a, b) => a - b);
const times = await bench();
const table = document.querySelector("#table");
const result = { threads, isolated: crossOriginIsolated };
for (const graph of graphs) {
  const order = sorted(times[graph]);
  result[graph] = { min: order[0], median: order[Math.floor(order.length / 2)] };
  const row = table.insertRow();
  for (const cell of [graph, threads, order[0].toFixed(0), result[graph].median.toFixed(0)]) row.insertCell().textContent = cell;
}
result.hover = await hover();
document.querySelector("#state").textContent =
  `cross-origin isolated: ${crossOriginIsolated}; in two seconds of hovering ${result.hover.frames} frames, ` +
  `${result.hover.answers} masks, ${result.hover.dropped} stale hovers dropped`;
window.result = result;
