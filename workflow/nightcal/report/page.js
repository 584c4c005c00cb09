for (const table of document.querySelectorAll('table')) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.firstChild.addEventListener('click', () => {
    const up = head.getAttribute('aria-sort') !== 'ascending';
    heads.forEach(other => other.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const key = row => { const c = row.cells[column]; return c.dataset.v === undefined ? c.textContent : +c.dataset.v; };
    const compare = (a, b) => typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === 'number' ? -1 : 1;
    const rows = [...body.rows].map((row, n) => [key(row), n, row]);
    rows.sort((a, b) => (up ? 1 : -1) * compare(a[0], b[0]) || a[1] - b[1]);
    body.append(...rows.map(row => row[2]));
  }));
}
const box = document.getElementById('filter');
if (box) {
  box.hidden = false;
  box.firstElementChild.lastElementChild.addEventListener('input', event => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const row of document.querySelectorAll('#science tbody tr'))
      row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
  });
}
const lane = document.querySelector('.timeline');
if (lane) {
  const ticks = [...lane.querySelectorAll('[data-g],[data-u]')];
  const light = tick => {
    ticks.forEach(one => one.classList.remove('lit'));
    if (!tick) return;
    const used = (tick.dataset.u || '').split(' '), made = tick.dataset.g;
    for (const one of ticks)
      if (one === tick || used.includes(one.dataset.g) || (one.dataset.u || '').split(' ').includes(made)) one.classList.add('lit');
  };
  lane.addEventListener('pointerover', event => light(event.target.closest('[data-g],[data-u]')));
  lane.addEventListener('focusin', event => light(event.target.closest('[data-g],[data-u]')));
  lane.addEventListener('pointerleave', () => light(null));
}
