(() => {
  const section = document.getElementById('frames');
  if (!section) return;
  const data = JSON.parse(document.getElementById('frame-data').textContent);
  const at = Object.fromEntries(data.columns.map((name, index) => [name, index]));
  const find = id => document.getElementById(id);
  const body = section.querySelector('tbody'), list = section.querySelector('.list');
  const image = section.querySelector('.detail img'), none = section.querySelector('.none');
  const caption = section.querySelector('figcaption');
  const CHUNK = 150, severalObjects = data.objects.length > 1;
  let order = [], drawn = 0, current = 0;

  // As formatting.number writes them in captions: three significant figures, integers from 100 on.
  const significant = value => 2 - Math.min(2, Math.floor(Math.log10(Math.max(Math.abs(value), 1))));
  const number = (value, digits, unit) => value === null ? '–' : value.toFixed(digits ?? significant(value)) + unit;
  const needs = value => value === null ? '–' : value < 0 ? 'no pose' : value.toFixed(2) + ' × the need';
  const failed = row => data.outcomes[row[at.outcome]].failed;
  const offBy = (row, name) => row[at[name]] === null && row[at.error] === -1 ? Infinity : row[at[name]];

  function keeps(row) {
    const outcome = find('by-outcome').value, object = find('by-object');
    const least = parseFloat(find('by-error')?.value);
    if (outcome === 'failed' ? !failed(row) : outcome !== 'all' && row[at.outcome] !== +outcome) return false;
    if (object && object.value !== 'all' && row[at.object] !== +object.value) return false;
    const millimetres = offBy(row, 'position_mm');
    return !(least > 0) || (millimetres !== null && millimetres >= least);
  }

  function key(row, name) {
    if (name === 'error') return row[at.error] === -1 ? Infinity : row[at.error];
    if (name === 'position_mm' || name === 'rotation_deg') return offBy(row, name);
    return row[at[name]];
  }

  function choose() {
    const name = find('sort-by').value, sign = name === 'score' ? 1 : -1;
    order = data.rows.map((_, index) => index).filter(index => keeps(data.rows[index]));
    if (name !== 'time') order.sort((a, b) => {
      const [one, other] = [key(data.rows[a], name), key(data.rows[b], name)];
      if (one === other) return a - b;
      if (one === null) return 1;
      if (other === null) return -1;
      return one < other ? -sign : sign;
    });
    find('shown').textContent = order.length + ' of ' + data.rows.length + ' shown';
    body.replaceChildren();
    drawn = 0;
    more();
    list.scrollTop = 0;
    select(0, false);
  }

  function cell(row, text, kind) {
    const made = row.insertCell();
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  function more() {
    for (const index of order.slice(drawn, drawn + CHUNK)) {
      const frame = data.rows[index], row = body.insertRow(), place = drawn++;
      const button = document.createElement('button');
      button.type = 'button';
      button.tabIndex = -1;
      button.textContent = frame[at.place];
      row.insertCell().append(button);
      row.onclick = () => select(place, true);
      if (severalObjects) cell(row, data.objects[frame[at.object]]);
      cell(row, data.outcomes[frame[at.outcome]].text, failed(frame) ? 'bad outcome' : 'outcome');
      for (const {name, digits, unit} of data.shown) cell(row, number(frame[at[name]], digits, unit), 'num');
    }
  }

  function select(place, reveal) {
    body.querySelector('.on')?.removeAttribute('aria-current');
    body.querySelector('.on')?.classList.remove('on');
    if (!order.length) {
      image.hidden = true;
      none.textContent = 'No frame is like that.';
      caption.textContent = '';
      return;
    }
    current = Math.min(Math.max(place, 0), order.length - 1);
    while (drawn <= current) more();
    const row = body.rows[current], frame = data.rows[order[current]];
    row.classList.add('on');
    row.setAttribute('aria-current', 'true');
    if (reveal) row.scrollIntoView({block: 'nearest'});
    const picture = data.pictures[frame[at.picture]] || '';
    const source = picture.startsWith('#') ? document.querySelector(picture).src : picture;
    image.hidden = !source;
    if (source) image.src = source;
    none.textContent = source ? '' : 'No picture was kept of this frame.';
    const outcome = data.outcomes[frame[at.outcome]].text, said = frame[at.said];
    const words = [severalObjects ? data.objects[frame[at.object]] : '', outcome,
      said && said !== outcome ? 'reported: ' + said : '',
      frame[at.position_mm] === null ? '' : number(frame[at.position_mm], null, ' mm') + ', ' +
        number(frame[at.rotation_deg], null, '°') + ' off, ' + needs(frame[at.error]),
      frame[at.score] === null ? '' : 'score ' + number(frame[at.score], 2, ''),
      [data.recording, frame[at.place]].filter(Boolean).join(', '), 'stamp ' + frame[at.stamp_ns] + ' ns'].filter(Boolean);
    image.alt = words.slice(0, -1).join(', ');
    caption.textContent = words.join('; ');
  }

  section.querySelector('.filters').hidden = section.querySelector('.browser').hidden = false;
  for (const control of section.querySelectorAll('select, input')) control.addEventListener('input', choose);
  list.addEventListener('scroll', () => {
    if (drawn < order.length && list.scrollTop + list.clientHeight > list.scrollHeight - 400) more();
  });
  document.addEventListener('keydown', event => {
    const inside = event.target.closest && event.target.closest('#frames .browser');
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const arrow = inside && {ArrowDown: 1, ArrowUp: -1}[event.key], letter = {j: 1, k: -1}[event.key];
    if (!arrow && !letter) return;
    event.preventDefault();
    select(current + (arrow || letter), true);
    if (!inside) section.scrollIntoView({block: 'nearest'});
  });
  for (const link of document.querySelectorAll('[data-outcome]')) link.addEventListener('click', () => {
    find('by-outcome').value = link.dataset.outcome;
    choose();
  });
  choose();
})();
