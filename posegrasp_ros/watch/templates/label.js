// SPDX-License-Identifier: Apache-2.0
// Sends clicks and drags, and shows what the server makes of them; one message is under way at a time.
'use strict';

const LIFE_MS = 1000, CLICK_PX = 4, TURN_DEG_PX = 0.4;
const MODES = {
  points: 'Click a point here and the same on the mesh. Drag to move the image, wheel to zoom.',
  move: 'Drag to move the object, with Shift nearer and farther. Wheel to zoom.',
  turn: 'Drag to turn the object, with Shift about the line of sight. Wheel to zoom.',
};
const LABELS = ['save', 'skip', 'absent'];
const ADDED = {shift: ['x', 'y'], turn: ['x', 'y'], view: ['x', 'y', 'zoom'], nearer: ['by'], roll: ['by']};
let socket = null, shown = null, picture = null, mode = 'points', isAnswered = false, hasEnded = false, hidden = null;
const waiting = [], fit = {zoom: 1, x: 0, y: 0};

function connect() {
  socket = new WebSocket(new URL('label', location.href.replace(/^http/, 'ws')).href);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    isAnswered = true;
    waiting.length = 0;
    send({do: 'show'});
  };
  socket.onmessage = (event) => show(event.data);
  socket.onclose = (event) => {
    hasEnded = event.reason === 'opened elsewhere';
    badge(hasEnded ? 'labelled on another page: reload to continue here' : 'not connected', 'bad');
    if (!hasEnded) setTimeout(connect, LIFE_MS);
  };
}

// Drags that come while the server works are added up. A frame is labelled only after it was shown.
function send(message) {
  if (LABELS.includes(message.do)) {
    if (!isAnswered || waiting.length || !shown) return;
    message.place = shown.place;
  }
  const last = waiting[waiting.length - 1], added = ADDED[message.do];
  if (added && last && last.do === message.do) added.forEach((name) => { last[name] += message[name]; });
  else if (message.do === 'opacity' && last && last.do === 'opacity') last.value = message.value;
  else waiting.push(message);
  sendNext();
}

function sendNext() {
  if (!isAnswered || !waiting.length || socket.readyState !== WebSocket.OPEN) return;
  isAnswered = false;
  socket.send(JSON.stringify(waiting.shift()));
}

async function show(data) {
  try {
    const length = new DataView(data).getUint32(0);
    const told = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const [imageBytes, meshBytes] = told.jpeg_bytes, start = 4 + length;
    const bitmap = (from, count) => count
      ? createImageBitmap(new Blob([new Uint8Array(data, from, count)], {type: 'image/jpeg'})) : null;
    const [image, mesh] = [await bitmap(start, imageBytes), await bitmap(start + imageBytes, meshBytes)];
    if (picture) picture.close();
    picture = image;
    shown = told;
    drawImage();
    drawMesh(mesh);
    tell();
  } finally {
    isAnswered = true;
    sendNext();
  }
}

function tell() {
  const {draft, label} = shown;
  byId('source').textContent = `${shown.object} in ${shown.source}, to ${shown.out}`;
  byId('place').textContent = `${shown.place + 1} of ${shown.count}, ${shown.labelled} labelled`;
  byId('problem').textContent = shown.problem || (shown.unusable && `cannot be labelled: ${shown.unusable}`) || shown.warning;
  byId('opacity').value = shown.opacity;
  if (draft && draft.is_touched) badge('not saved', 'bad');
  else if (label) badge(label === 'absent' ? 'not visible' : label === 'skipped' ? 'skipped' : 'saved', 'good');
  else badge(draft ? 'from another label, not saved' : 'no label', '');
  const now = [['Time', `${shown.time_s.toFixed(2)} s`]];
  if (draft) {
    const ways = {refined: 'refined', points: 'from points', moved: 'by hand'};
    now.push(['Pose', ways[draft.way]], ['Position', `${draft.position_mm.map((value) => value.toFixed(1)).join('  ')} mm`],
      ['Rotation x y z w', draft.quaternion_xyzw.map((value) => value.toFixed(3)).join('  ')],
      ['± σ', draft.sigma_mm === null ? 'not known' : `${draft.sigma_mm} mm, ${draft.sigma_deg}°`]);
    if (draft.residual_px !== null) now.push(['Points fit to', `${draft.residual_px.toFixed(1)} px`]);
  }
  tellFacts(now);
}

// ---- the image: shown whole, or zoomed about a place ----

// Pixels of the canvas for one pixel of the image, and where its corner is.
function placing() {
  const canvas = byId('image');
  const scale = fit.zoom * Math.min(canvas.width / picture.width, canvas.height / picture.height);
  return {scale, left: canvas.width / 2 + fit.x - scale * picture.width / 2,
    top: canvas.height / 2 + fit.y - scale * picture.height / 2};
}

function drawImage() {
  const canvas = byId('image'), pen = canvas.getContext('2d'), ratio = window.devicePixelRatio || 1;
  if (picture) canvas.style.aspectRatio = `${picture.width} / ${picture.height}`;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (!picture || !shown) return;
  const {scale, left, top} = placing();
  pen.imageSmoothingEnabled = scale < 3;
  pen.drawImage(picture, left, top, scale * picture.width, scale * picture.height);
  // pixel centres have whole coordinates
  const at = ([u, v]) => [left + scale * (u + 0.5), top + scale * (v + 0.5)];
  const stroke = (points, colour, thick) => {
    pen.strokeStyle = colour;
    pen.lineWidth = thick * ratio;
    pen.beginPath();
    points.forEach((point, place) => pen[place ? 'lineTo' : 'moveTo'](...at(point)));
    pen.stroke();
  };
  if (shown.opacity > 0) {
    for (const [a, b, c, d] of shown.edges) stroke([[a, b], [c, d]], 'rgba(250, 200, 40, .45)', 1);
    for (const line of shown.outlines) if (line.length) stroke([...line, line[0]], '#fac828', 1.3);
    for (const {line: [a, b, c, d], colour} of shown.axes) stroke([[a, b], [c, d]], colour, 2);
  }
  shown.pairs.forEach(({pixel, seen}, place) => {
    if (pixel && seen) stroke([pixel, seen], '#ff5252', 1.5);
    if (pixel) mark(pen, at(pixel), place, ratio);
  });
}

function drawMesh(image) {
  const canvas = byId('mesh'), pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  image.close();
  shown.pairs.forEach(({view, is_hidden: isHidden}, place) => {
    if (!view) return;
    pen.globalAlpha = isHidden ? 0.3 : 1;
    mark(pen, [view[0] + 0.5, view[1] + 0.5], place, canvas.width / (canvas.clientWidth || canvas.width));
    pen.globalAlpha = 1;
  });
}

function mark(pen, [x, y], place, ratio) {
  pen.lineWidth = 1.5 * ratio;
  for (const [colour, offset] of [['#000', 1.2 * ratio], ['#fff', 0]]) {
    pen.strokeStyle = pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(x, y, 5 * ratio + offset / 2, 0, 7);
    pen.stroke();
    pen.font = `bold ${13 * ratio}px sans-serif`;
    pen.fillText(place + 1, x + 8 * ratio + offset, y - 6 * ratio + offset);
  }
}

// A place of the pointer in pixels of the canvas.
function inCanvas(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
}

// Clicks, and drags with the steps in CSS pixels.
function pointers(canvas, clicked, dragged) {
  let start = null, last = null, isDrag = false;
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    start = last = event;
    isDrag = false;
  };
  canvas.onpointermove = (event) => {
    if (!canvas.hasPointerCapture(event.pointerId) || !last) return;
    isDrag = isDrag || Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > CLICK_PX;
    if (!isDrag) return;
    dragged(event.clientX - last.clientX, event.clientY - last.clientY, event);
    last = event;
  };
  canvas.onpointerup = (event) => {
    if (start && !isDrag) clicked(inCanvas(canvas, event));
    start = last = null;
  };
  canvas.onpointercancel = () => { start = last = null; };
}

const image = byId('image'), mesh = byId('mesh');
pointers(image, ([x, y]) => {
  if (mode !== 'points' || !picture) return;
  const {scale, left, top} = placing();
  const [u, v] = [(x - left) / scale - 0.5, (y - top) / scale - 0.5];
  if (u >= -0.5 && v >= -0.5 && u < picture.width && v < picture.height) send({do: 'click_image', x: u, y: v});
}, (dx, dy, event) => {
  if (!picture) return;
  const ratio = image.width / image.getBoundingClientRect().width, {scale} = placing();
  if (mode === 'points') {
    fit.x += dx * ratio;
    fit.y += dy * ratio;
    drawImage();
  } else if (mode === 'move') {
    if (event.shiftKey) send({do: 'nearer', by: 0.003 * dy});
    else send({do: 'shift', x: dx * ratio / scale, y: dy * ratio / scale});
  } else if (event.shiftKey) send({do: 'roll', by: TURN_DEG_PX * dx});
  else send({do: 'turn', x: TURN_DEG_PX * dx, y: TURN_DEG_PX * dy});
});
image.addEventListener('wheel', (event) => {
  event.preventDefault();
  if (!picture) return;
  const [x, y] = inCanvas(image, event), before = placing();
  fit.zoom = Math.max(1, Math.min(20, fit.zoom * Math.exp(-0.0015 * event.deltaY)));
  // what is under the pointer stays there
  const after = placing(), grown = after.scale / before.scale;
  fit.x += x - after.left - grown * (x - before.left);
  fit.y += y - after.top - grown * (y - before.top);
  if (fit.zoom === 1) fit.x = fit.y = 0;
  drawImage();
}, {passive: false});
pointers(mesh, ([x, y]) => send({do: 'click_mesh', x: x - 0.5, y: y - 0.5}),
  (dx, dy) => send({do: 'view', x: TURN_DEG_PX * dx, y: TURN_DEG_PX * dy, zoom: 0}));
mesh.addEventListener('wheel', (event) => {
  event.preventDefault();
  send({do: 'view', x: 0, y: 0, zoom: -0.001 * event.deltaY});
}, {passive: false});

function choose(name) {
  mode = name;
  for (const each of Object.keys(MODES)) byId(`mode-${each}`).setAttribute('aria-checked', each === name);
  byId('hint').textContent = MODES[name];
  image.classList.toggle('moves', name !== 'points');
}
for (const name of Object.keys(MODES)) byId(`mode-${name}`).onclick = () => choose(name);

for (const button of document.querySelectorAll('button[data-do]')) {
  button.onclick = (event) => {
    if (event.detail) button.blur();  // after a click, keys are the page's again
    const {do: what, ...values} = button.dataset;
    send({do: what, ...Object.fromEntries(Object.entries(values).map(([name, text]) => [name, Number(text)]))});
  };
}
byId('opacity').oninput = (event) => send({do: 'opacity', value: Number(event.target.value)});

const KEYS = {
  Enter: {do: 'save'}, r: {do: 'refine'}, s: {do: 'solve'}, x: {do: 'skip'}, n: {do: 'absent'},
  v: {do: 'see'}, Backspace: {do: 'undo'}, '+': {do: 'nearer', by: 0.01}, '-': {do: 'nearer', by: -0.01},
  '[': {do: 'roll', by: -2}, ']': {do: 'roll', by: 2},
};
document.onkeydown = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !shown) return;
  if (event.key === 'Enter' && event.target.closest('button')) return;  // the button's own
  if (event.repeat && !['[', ']', '+', '-'].includes(event.key)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const step = {ArrowLeft: -1, ArrowRight: 1}[key];
  if (step && event.target.tagName === 'INPUT') return;
  if (step) send({do: 'go', step: step * (event.shiftKey ? 10 : 1)});
  else if (KEYS[key]) send({...KEYS[key]});
  else if (key === 'p' || key === 'm' || key === 't') choose({p: 'points', m: 'move', t: 'turn'}[key]);
  else if (key === 'f') {
    Object.assign(fit, {zoom: 1, x: 0, y: 0});
    drawImage();
  } else if (key === 'o') {
    [hidden, shown.opacity] = shown.opacity ? [shown.opacity, 0] : [null, hidden || 0.5];
    send({do: 'opacity', value: shown.opacity});
  } else return;
  event.preventDefault();
};
window.addEventListener('resize', drawImage);
choose('points');
connect();
