// The scan as points in WebGL: turned about its middle, coloured by its deviation in the shader.
page.section("surface", (root, data) => {
  const canvas = root.querySelector("#surface-canvas");
  const state = root.querySelector("#surface-state");
  const tolerance = root.querySelector("#surface-tolerance");
  const size = root.querySelector("#surface-size");
  const gl = canvas.getContext("webgl", { antialias: true });
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const places = new Int16Array(bytes(data.places).buffer);
  const values = new Int16Array(bytes(data.values).buffer);
  const normals = new Int8Array(bytes(data.normals).buffer);
  const marker = { at: null };
  const LOOKS = { top: [0, 0], front: [0, -1.45], side: [Math.PI / 2, -1.45] };
  // The camera: rows right, up, back; looking at the middle from `far` away.
  const axes = ({ turn, tilt }) => {
    const [ct, st, cp, sp] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
    return [[ct, st, 0], [-st * cp, ct * cp, -sp], [-st * sp, ct * sp, cp]];
  };
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const FOCAL = 2.2; // of half the height of the picture
  const start = () => { // so far away that the whole box is in view
    const way = { turn: -0.5, tilt: -0.65, middle: [...data.middle] };
    const [right, up, back] = axes(way);
    const wide = canvas.clientWidth / canvas.clientHeight || 1.5;
    const needs = [0, 1, 2, 3, 4, 5, 6, 7].map((corner) => {
      const c = data.low.map((low, i) => low + ((corner >> i) & 1) * data.span[i] - data.middle[i]);
      return dot(back, c) + FOCAL * Math.max(Math.abs(dot(up, c)), Math.abs(dot(right, c)) / wide);
    });
    return { ...way, far: 1.05 * Math.max(...needs) };
  };
  let eye = start();

  const legend = () => {
    const most = 3 * Number(tolerance.value);
    root.querySelector('[data-at="high"]').textContent = `+${page.short(most)} mm`;
    root.querySelector('[data-at="low"]').textContent = `−${page.short(most)} mm`;
  };
  legend();
  if (!gl) { state.textContent = "This browser shows no 3-D (WebGL is off)."; return; }
  state.textContent = `${data.shown.toLocaleString()} of ${data.points.toLocaleString()} points`;

  const shader = (kind, text) => {
    const made = gl.createShader(kind);
    gl.shaderSource(made, text);
    gl.compileShader(made);
    if (!gl.getShaderParameter(made, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(made));
    return made;
  };
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `
    attribute vec3 place; attribute float value; attribute vec3 normal;
    uniform mat4 view; uniform vec3 low, span, from; uniform float size, tolerance, unit; uniform bool plain;
    varying vec4 colour;
    void main() {
      vec3 p = low + span * (place + 32768.0) / 65535.0;
      gl_Position = view * vec4(p, 1.0);
      gl_PointSize = plain ? 14.0 : size;
      float share = clamp(value * unit / (3.0 * tolerance), -1.0, 1.0);
      float amount = clamp((abs(share) - 1.0 / 6.0) / (5.0 / 6.0), 0.0, 1.0);
      vec3 grey = vec3(0.80, 0.82, 0.83);
      vec3 mixed = mix(grey, share > 0.0 ? vec3(0.84, 0.16, 0.16) : vec3(0.13, 0.40, 0.75), amount);
      float light = 0.55 + 0.45 * abs(dot(normalize(normal + 1e-6), normalize(from - p)));
      colour = plain ? vec4(1.0, 0.85, 0.1, 1.0) : vec4(mixed * light, 1.0);
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `
    precision mediump float; varying vec4 colour; uniform bool ring;
    void main() {
      float r = length(gl_PointCoord - 0.5);
      if (r > 0.5 || (ring && r < 0.32)) discard;
      gl_FragColor = colour;
    }`));
  gl.linkProgram(program);
  gl.useProgram(program);
  const buffer = (name, array, width, kind) => {
    const made = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, made);
    gl.bufferData(gl.ARRAY_BUFFER, array, gl.STATIC_DRAW);
    return () => {
      const where = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, made);
      gl.enableVertexAttribArray(where);
      gl.vertexAttribPointer(where, width, kind, false, 0, 0);
    };
  };
  const binds = [buffer("place", places, 3, gl.SHORT), buffer("value", values, 1, gl.SHORT), buffer("normal", normals, 3, gl.BYTE)];
  const uniform = (name) => gl.getUniformLocation(program, name);

  const draw = () => {
    const ratio = devicePixelRatio || 1;
    const [w, h] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    gl.viewport(0, 0, w, h);
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [right, up, back] = axes(eye);
    const from = eye.middle.map((m, i) => m + back[i] * eye.far);
    const f = FOCAL, near = eye.far * 0.01, most = eye.far + 4 * data.extent;
    const rows = [[...right, -dot(right, from)], [...up, -dot(up, from)], [...back, -dot(back, from)]];
    const z = (most + near) / (near - most), s = 2 * most * near / (near - most);
    const view = [];
    for (let c = 0; c < 4; c += 1) {
      view.push(rows[0][c] * f * h / w, rows[1][c] * f, rows[2][c] * z + (c === 3 ? s : 0), -rows[2][c]);
    }
    gl.uniformMatrix4fv(uniform("view"), false, new Float32Array(view));
    gl.uniform3fv(uniform("low"), data.low);
    gl.uniform3fv(uniform("span"), data.span);
    gl.uniform3fv(uniform("from"), from);
    gl.uniform1f(uniform("size"), Number(size.value) * ratio);
    gl.uniform1f(uniform("tolerance"), Math.max(Number(tolerance.value), 1e-9));
    gl.uniform1f(uniform("unit"), data.unit);
    gl.uniform1i(uniform("plain"), 0);
    gl.uniform1i(uniform("ring"), 0);
    binds.forEach((bind) => bind());
    gl.drawArrays(gl.POINTS, 0, data.shown);
    if (marker.at) {
      gl.disable(gl.DEPTH_TEST);
      const spot = marker.at.map((v, i) => Math.round((v - data.low[i]) / (data.span[i] || 1) * 65535 - 32768));
      const one = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, one);
      gl.bufferData(gl.ARRAY_BUFFER, new Int16Array(spot), gl.STATIC_DRAW);
      gl.vertexAttribPointer(gl.getAttribLocation(program, "place"), 3, gl.SHORT, false, 0, 0);
      gl.uniform1i(uniform("plain"), 1);
      gl.uniform1i(uniform("ring"), 1);
      gl.drawArrays(gl.POINTS, 0, 1);
      gl.deleteBuffer(one);
    }
  };
  let asked = false;
  const soon = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  };

  let last = null;
  canvas.addEventListener("pointerdown", (e) => { last = [e.clientX, e.clientY, e.button]; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointerup", () => { last = null; });
  canvas.addEventListener("pointermove", (e) => {
    if (!last) return;
    const [dx, dy] = [e.clientX - last[0], e.clientY - last[1]];
    last = [e.clientX, e.clientY, last[2]];
    if (last[2] === 2 || e.shiftKey) {
      const [right, up] = axes(eye);
      const step = eye.far / canvas.clientHeight / 1.1;
      eye.middle = eye.middle.map((m, i) => m - right[i] * dx * step + up[i] * dy * step);
    } else {
      eye.turn -= dx * 0.008;
      eye.tilt = Math.min(0, Math.max(-Math.PI, eye.tilt - dy * 0.008));
    }
    soon();
  });
  canvas.addEventListener("contextmenu", (e) => e.preventDefault());
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); eye.far *= Math.exp(e.deltaY * 0.001); soon(); }, { passive: false });
  canvas.addEventListener("dblclick", () => { eye = start(); marker.at = null; soon(); });
  const KEYS = { ArrowLeft: ["turn", 0.1], ArrowRight: ["turn", -0.1], ArrowUp: ["tilt", 0.1], ArrowDown: ["tilt", -0.1] };
  canvas.addEventListener("keydown", (e) => {
    if (KEYS[e.key]) { const [name, by] = KEYS[e.key]; eye[name] += by; } else if (e.key === "+" || e.key === "=") { eye.far *= 0.9; } else if (e.key === "-") { eye.far *= 1.1; } else { return; }
    eye.tilt = Math.min(0, Math.max(-Math.PI, eye.tilt));
    e.preventDefault();
    soon();
  });
  root.querySelectorAll("[data-look]").forEach((button) => button.addEventListener("click", () => {
    [eye.turn, eye.tilt] = LOOKS[button.dataset.look];
    soon();
  }));
  root.querySelectorAll("[data-finding]").forEach((button) => button.addEventListener("click", () => {
    marker.at = data.findings[Number(button.dataset.finding)];
    eye.middle = [...marker.at];
    eye.far = Math.min(eye.far, 0.35 * data.extent);
    canvas.scrollIntoView({ block: "center" });
    soon();
  }));
  tolerance.addEventListener("input", () => { legend(); soon(); });
  size.addEventListener("input", soon);
  new ResizeObserver(soon).observe(canvas);
  soon();
});
