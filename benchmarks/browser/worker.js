// Decodes prompts off the page's thread. Of several waiting hovers only the newest is answered.
import * as ort from "./ort/ort.wasm.min.mjs";

const sessions = {};
let newest = 0;

self.onmessage = async ({ data }) => {
  if (data.kind === "open") {
    ort.env.wasm.wasmPaths = new URL("./ort/", self.location.href).href;
    ort.env.wasm.numThreads = data.threads;
    sessions[data.graph] = await ort.InferenceSession.create(data.url, { executionProviders: ["wasm"] });
    self.postMessage({ kind: "opened", graph: data.graph });
  } else if (data.kind === "time") {
    self.postMessage({ kind: "timed", graph: data.graph, times: await time(data) });
  } else if (data.kind === "hover") {
    newest = data.number;
    await new Promise((done) => setTimeout(done)); // let hovers that came meanwhile be seen
    if (data.number !== newest) {
      self.postMessage({ kind: "dropped", number: data.number });
      return;
    }
    const answer = await sessions[data.graph].run(feeds(data.embedding, data.x, data.y, data.size, data.draw));
    self.postMessage({ kind: "hovered", number: data.number, low: answer.low_res_masks.data.slice() });
  }
};

async function time({ graph, embedding, size, draw, rounds }) {
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    await sessions[graph].run(feeds(embedding, 500, 375, size, draw));
    times.push(performance.now() - start);
  }
  return times;
}

function feeds(embedding, x, y, size, draw) {
  const grid = size / 16, mask = size / 4;
  const tensor = (values, dims) => new ort.Tensor("float32", values, dims);
  return {
    image_embeddings: tensor(embedding, [1, embedding.length / grid / grid, grid, grid]),
    point_coords: tensor(new Float32Array([x, y, 0, 0]), [1, 2, 2]),
    point_labels: tensor(new Float32Array([1, -1]), [1, 2]),
    mask_input: tensor(new Float32Array(mask * mask), [1, 1, mask, mask]),
    has_mask_input: tensor(new Float32Array([0]), [1]),
    orig_im_size: tensor(new Float32Array(draw), [2]),
  };
}
