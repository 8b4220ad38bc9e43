// SPDX-License-Identifier: Apache-2.0
// Shows the newest frame, and asks for the next when it has: a slow page misses frames, nothing queues up.
'use strict';

const MOST_ROWS = 12, ENLARGED = 5, LIFE_MS = 1000, TEXT_EVERY_MS = 100;
const AXES = ['#e14b43', '#3fae4a', '#3b7fe0'];
let model = null, shown = null, socket = null, untold = [], telling = null;
const view = {yaw: 0.5, pitch: -0.35, zoom: 1, centre: null};

function connect() {
  socket = new WebSocket(new URL('frames', location.href.replace(/^http/, 'ws')).href);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = (event) => typeof event.data === 'string' ? hear(JSON.parse(event.data)) : show(event.data);
  socket.onclose = () => {
    badge('not connected', 'bad');
    byId('snapshot').disabled = true;
    setTimeout(connect, LIFE_MS);
  };
}

function hear(message) {
  if (message.kind === 'object') {
    model = message;
    byId('source').textContent = `${message.model} in ${message.source}`;
    byId('lines').replaceChildren(...message.lines.map((line) => element('li', line)));
    badge('waiting for a frame', '');
    socket.send('next');
  } else if (message.kind === 'snapshot') {
    byId('kept').textContent = message.path ? `kept: ${message.path}` : `not kept: ${message.problem}`;
  }
}

async function show(data) {
  const length = new DataView(data).getUint32(0);
  const frame = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const asking = socket;
  try {
    if (!document.hidden && data.byteLength > 4 + length) {
      await drawImage(new Blob([new Uint8Array(data, 4 + length)], {type: 'image/jpeg'}));
    }
    if (!shown || shown.number !== frame.number) untold.push(frame);
    if (untold.length > MOST_ROWS) untold.shift();
    shown = frame;
    // Text that changes with every frame takes the browser longer than the picture, and nobody can read it.
    telling = telling || setTimeout(tell, TEXT_EVERY_MS);
    if (!document.hidden) drawSpace();
  } finally {
    if (asking.readyState === WebSocket.OPEN) asking.send('next');
  }
}

async function drawImage(blob) {
  const picture = await createImageBitmap(blob), canvas = byId('image');
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext('2d').drawImage(picture, 0, 0);
  picture.close();
}

function tell() {
  telling = null;
  tellNow(shown);
  untold.splice(0).forEach(addRow);
}

function tellNow(frame) {
  const best = frame.poses[0], grasp = frame.grasps[0];
  byId('snapshot').disabled = false;
  const said = best ? (frame.state || 'pose') : (frame.reason || 'no pose');
  badge(frame.is_over ? `${said}, end of the source` : said, best ? 'good' : 'bad');
  const fixed = (values, digits) => values.map((value) => value === null ? '?' : value.toFixed(digits)).join('  ');
  const now = [['Frame', frame.number], ['Rate', `${frame.rate_hz.toFixed(1)} /s`],
    ['Time', `${frame.latency_ms.toFixed(0)} ms`],
    ['of which, ms', Object.entries(frame.times_ms).map(([name, ms]) => `${name} ${ms.toFixed(0)}`).join(', ')]];
  if (frame.dropped) now.push(['Left out', frame.dropped]);
  if (best) {
    now.push(['Position', `${fixed(best.position_mm, 1)} mm`], ['± σ', `${fixed(best.sigma_mm, 1)} mm`],
      ['Rotation x y z w', fixed(best.quaternion_xyzw, 3)], ['± σ', `${fixed(best.sigma_deg, 1)}°`],
      ['Score', best.score.toFixed(2)]);
  }
  if (frame.poses.length > 1) now.push(['Others', frame.poses.slice(1).map((each) => each.score.toFixed(2)).join(', ')]);
  if (grasp) {
    now.push(['Grasps', frame.grasps_found], ['Best grasp', `${grasp.score.toFixed(2)}, succeeds with ` +
      `${(100 * grasp.success_probability).toFixed(0)} %, opening ${grasp.opening_mm.toFixed(0)} mm`]);
  }
  const discarded = Object.entries(frame.grasps_rejected).map(([name, count]) => `${name} ${count}`).join(', ');
  if (discarded) now.push(['Grasps rejected', discarded]);
  tellFacts(now);
  byId('rejected').textContent = frame.rejected;
}

function addRow(frame) {
  const best = frame.poses[0], grasp = frame.grasps[0];
  const cells = [frame.number, `${frame.time_s.toFixed(2)} s`,
    ...(best ? best.position_mm.map((value) => value.toFixed(1)) : ['', '', '']),
    best ? most(best.sigma_mm) : '', best ? most(best.sigma_deg) : '', best ? best.score.toFixed(2) : '',
    grasp ? grasp.score.toFixed(2) : '', frame.latency_ms.toFixed(0), frame.reason];
  const row = document.createElement('tr');
  row.append(...cells.map((text, place) => {
    const cell = element('td', text);
    if (place > 1 && place < 10) cell.className = 'num';
    return cell;
  }));
  const rows = byId('rows');
  rows.prepend(row);
  while (rows.childElementCount > MOST_ROWS) rows.lastElementChild.remove();
}

const most = (values) => values.includes(null) ? '?' : Math.max(...values).toFixed(1);

// ---- the view in space: camera frame, x right, y down, z forward; perspective from around the object ----

const add = (a, b) => a.map((value, axis) => value + b[axis]);
const scaled = (a, factor) => a.map((value) => value * factor);
const moved = (pose, point) => [0, 1, 2].map((row) =>
  pose[row][0] * point[0] + pose[row][1] * point[1] + pose[row][2] * point[2] + pose[row][3]);

function drawSpace() {
  if (!model || !shown) return;
  const canvas = byId('space'), pen = canvas.getContext('2d'), style = getComputedStyle(document.body);
  const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)) || 480;
  if (canvas.width !== side) canvas.width = canvas.height = side;
  pen.clearRect(0, 0, side, side);
  const best = shown.poses[0];
  if (best) {
    const isNear = view.centre && Math.hypot(...add(best.centre, scaled(view.centre, -1))) < model.size_m;
    view.centre = isNear ? add(scaled(view.centre, 0.7), scaled(best.centre, 0.3)) : best.centre;
  }
  const centre = view.centre || [0, 0, 1], far = 3 * model.size_m;
  const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
  const project = (point) => {
    const [x, y, z] = point.map((value, axis) => value - centre[axis]);
    const turned = [cy * x + sy * z, y, cy * z - sy * x];
    const [up, depth] = [cp * turned[1] - sp * turned[2], sp * turned[1] + cp * turned[2] + far];
    const scale = 0.8 * side * view.zoom * far / (2 * model.size_m) / Math.max(depth, 0.05 * far);
    return [side / 2 + scale * turned[0], side / 2 + scale * up, depth > 0.05 * far];
  };
  const paths = new Map(); // one stroke for all lines of a colour and width, which is the quicker
  const line = (start, end, colour, width) => {
    const [a, b] = [project(start), project(end)], kind = `${width} ${colour}`;
    if (!a[2] || !b[2]) return;
    if (!paths.has(kind)) paths.set(kind, {colour, width, path: new Path2D()});
    const {path} = paths.get(kind);
    path.moveTo(a[0], a[1]);
    path.lineTo(b[0], b[1]);
  };
  drawLines(line, best, centre, style);
  for (const {colour, width, path} of paths.values()) {
    pen.strokeStyle = colour;
    pen.lineWidth = width * side / 480;
    pen.stroke(path);
  }
}

function drawLines(line, best, centre, style) {
  const soft = style.getPropertyValue('--soft');
  drawCamera(line, centre, soft);
  shown.poses.forEach((pose, rank) => {
    const colour = rank ? soft : style.color;
    for (const [start, end] of model.edges) line(moved(pose.matrix, start), moved(pose.matrix, end), colour, 1);
  });
  if (!best) return;
  const origin = moved(best.matrix, [0, 0, 0]), reach = 0.35 * model.size_m;
  AXES.forEach((colour, axis) => {
    const tip = [0, 0, 0];
    tip[axis] = reach;
    line(origin, moved(best.matrix, tip), colour, 2.5);
  });
  shown.grasps.forEach((grasp, rank) => {
    for (let end = 0; end < grasp.lines.length; end += 2) {
      line(grasp.lines[end], grasp.lines[end + 1], rank ? '#c9a3d6' : '#b24fce', rank ? 1 : 2.5);
    }
  });
  if (best.ellipsoid) drawEllipsoid(line, best);
}

// The camera, brought near along its line of sight where it is far away.
function drawCamera(line, centre, colour) {
  const canvas = byId('image'), length = 0.25 * model.size_m;
  const distance = Math.hypot(...centre), away = Math.min(distance, 1.4 * model.size_m);
  const eye = scaled(centre, 1 - away / distance);
  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([x, y]) =>
    add(eye, [0.5 * x * length, 0.5 * y * length * canvas.height / canvas.width, length]));
  corners.forEach((corner, place) => {
    line(eye, corner, colour, 1);
    line(corner, corners[(place + 1) % 4], colour, 1);
  });
  line(eye, centre, colour, 0.4);
}

function drawEllipsoid(line, pose) {
  const axis = (column) => pose.ellipsoid.map((row) => ENLARGED * row[column]);
  const steps = 32;
  for (const [a, b] of [[0, 1], [1, 2], [0, 2]]) {
    let last = null;
    for (let step = 0; step <= steps; step++) {
      const angle = 2 * Math.PI * step / steps;
      const point = add(pose.centre, add(scaled(axis(a), Math.cos(angle)), scaled(axis(b), Math.sin(angle))));
      if (last) line(last, point, '#e08a2e', 1.2);
      last = point;
    }
  }
}

byId('enlarged').textContent = ENLARGED;
byId('snapshot').onclick = () => {
  if (shown && socket.readyState === WebSocket.OPEN) socket.send(`snapshot ${shown.number}`);
};
const space = byId('space');
space.onpointerdown = (event) => space.setPointerCapture(event.pointerId);
space.onpointermove = (event) => {
  if (!space.hasPointerCapture(event.pointerId)) return;
  view.yaw -= 0.01 * event.movementX;
  view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + 0.01 * event.movementY));
  drawSpace();
};
space.addEventListener('wheel', (event) => {
  event.preventDefault();
  view.zoom = Math.max(0.2, Math.min(8, view.zoom * Math.exp(-0.001 * event.deltaY)));
  drawSpace();
}, {passive: false});
space.ondblclick = () => {
  Object.assign(view, {yaw: 0, pitch: 0, zoom: 1});
  drawSpace();
};
document.addEventListener('visibilitychange', drawSpace);
connect();
