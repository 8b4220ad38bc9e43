(() => {
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.setAttribute('role', 'status');
  tip.hidden = true;
  document.body.append(tip);

  function show(point) {
    const box = point.getBoundingClientRect(), wide = document.documentElement.clientWidth;
    document.querySelector('[data-tip].at')?.classList.remove('at');
    point.classList.add('at');
    tip.textContent = point.dataset.tip;
    tip.hidden = false;
    const half = tip.offsetWidth / 2, middle = box.left + box.width / 2;
    tip.style.left = Math.min(Math.max(middle, half + 4), wide - half - 4) + 'px';
    tip.style.top = Math.max(box.top + box.height / 2 - tip.offsetHeight - 10, 4) + 'px';
  }

  function hide() {
    document.querySelector('[data-tip].at')?.classList.remove('at');
    tip.hidden = true;
  }

  for (const figure of document.querySelectorAll('svg.hover')) {
    const points = [...figure.querySelectorAll('[data-tip]')];
    if (!points.length) continue;
    figure.tabIndex = 0;
    let current = -1;
    const nearest = event => {
      let best = null, least = Infinity;
      for (const point of points) {
        const box = point.getBoundingClientRect();
        const [right, down] = [box.left + box.width / 2 - event.clientX, box.top + box.height / 2 - event.clientY];
        const away = right * right + down * down;
        if (away < least) [best, least] = [point, away];
      }
      current = points.indexOf(best);
      show(best);
    };
    figure.addEventListener('pointermove', nearest);
    figure.addEventListener('pointerdown', nearest);
    figure.addEventListener('pointerleave', hide);
    figure.addEventListener('blur', hide);
    figure.addEventListener('keydown', event => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      if (event.key === 'Escape') hide();
      if (!step) return;
      event.preventDefault();
      current = Math.min(Math.max(current + step, 0), points.length - 1);
      show(points[current]);
    });
  }
  addEventListener('scroll', hide, {passive: true});
  const cue = () => {
    for (const region of document.querySelectorAll('.scroll'))
      region.classList.toggle('over', region.scrollWidth > region.clientWidth + 1);
  };
  addEventListener('resize', cue);
  for (const details of document.querySelectorAll('details')) details.addEventListener('toggle', cue);
  cue();
  for (const clip of document.querySelectorAll('.clip')) clip.addEventListener('click', () => {
    const image = clip.querySelector('img'), source = image.src;
    image.src = '';
    image.src = source;
  });
  addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('details:not([open])')) {
      details.open = true;
      details.dataset.printed = '';
    }
  });
  addEventListener('afterprint', () => {
    for (const details of document.querySelectorAll('details[data-printed]')) details.open = false;
  });
})();
