// Two strips of small cards: the gateways with the age of their heartbeat and how full
// their buffer is, and the buildings with their devices and mean temperature.
import { glyph, h, setAttr, setClass, setText } from '../../core/dom.js';
import { age, bytes, count, fixed, rate, THIN } from '../../core/format.js';

/** keyed keeps one element for each key, in order, and throws away what is gone. */
function keyed(box, cards, items, key, make, draw) {
  const wanted = new Set();
  items.forEach((item, i) => {
    const k = key(item);
    wanted.add(k);
    let card = cards.get(k);
    if (!card) {
      card = make(item);
      cards.set(k, card);
    }
    if (box.children[i] !== card.el) box.insertBefore(card.el, box.children[i] ?? null);
    draw(card, item);
  });
  for (const [k, card] of cards) {
    if (wanted.has(k)) continue;
    card.el.remove();
    cards.delete(k);
  }
}

export function createGateways(ctx) {
  const cards = new Map();
  const title = h('h2', { class: 'panel-title' });
  const box = h('div', { class: 'cards' });
  const empty = h('p', { class: 'empty' });

  const make = () => {
    const c = {
      name: h('span', { class: 'card-name' }),
      place: h('span', { class: 'card-note' }),
      age: h('span', { class: 'card-age num' }),
      rate: h('span', { class: 'card-note num' }),
      buffer: h('progress', { max: 1 }),
      bufferText: h('span', { class: 'card-note num' }),
    };
    c.el = h('article', { class: 'card' },
      h('div', { class: 'card-line' }, c.name, c.place, h('span', { class: 'card-space' }), c.age),
      h('div', { class: 'card-line' }, c.buffer, c.bufferText, h('span', { class: 'card-space' }), c.rate));
    return c;
  };

  function drawCard(c, g) {
    const { t } = ctx;
    const silence = g.age_ms + (Date.now() - g.at);
    setText(c.name, g.gateway);
    setText(c.place, g.building);
    setText(c.age, t(g.silent ? 'gateways.silent' : 'gateways.heard', { age: age(silence, t) }));
    setClass(c.el, 'is-bad', g.silent || g.buffer_full);
    setClass(c.el, 'is-stale', silence > 5000);
    setText(c.rate, g.rate === null ? '' : t('gateways.rate', { n: rate(g.rate) }));
    c.buffer.value = Math.min(g.buffer_used, 1);
    const used = t(g.buffer_full ? 'gateways.full' : 'gateways.buffer', { used: bytes(g.buffer_bytes), limit: bytes(g.buffer_limit) });
    setText(c.bufferText, `${Math.round(g.buffer_used * 100)}${THIN}%`);
    setAttr(c.rate, 'title', t('gateways.accepted'));
    setAttr(c.buffer, 'aria-label', used);
    setAttr(c.el, 'title', used);
  }

  function draw() {
    setText(title, ctx.t('gateways.title'));
    setText(empty, ctx.t('gateways.none'));
    const list = ctx.store.state.gateways;
    setAttr(empty, 'hidden', list.length > 0);
    keyed(box, cards, list, (g) => g.gateway, make, drawCard);
  }
  ctx.component(draw, ['gateways', 'tick']);
  return h('section', { class: 'panel strip' }, title, empty, box);
}

export function createBuildings(ctx) {
  const cards = new Map();
  const title = h('h2', { class: 'panel-title' });
  const box = h('div', { class: 'cards' });
  const empty = h('p', { class: 'empty' });

  const make = (b) => {
    const c = {
      name: h('button', { type: 'button', class: 'card-name link', onclick: () => ctx.view.set({ building: ctx.view.building === b.building ? '' : b.building }) }),
      mean: h('span', { class: 'card-big num' }),
      devices: h('span', { class: 'card-note num' }),
      glyph: glyph('high'),
      alarms: h('span', { class: 'num' }),
    };
    c.alarmBox = h('span', { class: 'card-alarms' }, c.alarms);
    c.el = h('article', { class: 'card' },
      h('div', { class: 'card-line' }, c.name, h('span', { class: 'card-space' }), c.mean),
      h('div', { class: 'card-line' }, c.devices, h('span', { class: 'card-space' }), c.alarmBox));
    return c;
  };

  function drawCard(c, b) {
    const { t } = ctx;
    const mean = b.means.temperature;
    setText(c.name, b.building || t('buildings.unnamed'));
    setText(c.mean, mean ? `${fixed(mean.mean, 1)}${THIN}°C` : '–');
    setAttr(c.mean, 'title', mean ? t('buildings.mean', { min: fixed(mean.min, 1), max: fixed(mean.max, 1) }) : null);
    setText(c.devices, t('buildings.devices', { online: count(b.devices.online), total: count(b.devices.total) }));
    setText(c.alarms, t('buildings.alarms', { n: count(b.active_alerts) }));
    setClass(c.alarmBox, 'is-zero', b.active_alerts === 0);
    setAttr(c.name, 'aria-pressed', ctx.view.building === b.building);
  }

  function draw() {
    setText(title, ctx.t('buildings.title'));
    setText(empty, ctx.t('buildings.none'));
    const list = ctx.store.state.stats?.buildings ?? [];
    setAttr(empty, 'hidden', list.length > 0);
    keyed(box, cards, list, (b) => b.building, make, drawCard);
  }
  ctx.component(draw, ['stats', 'view']);
  return h('section', { class: 'panel strip' }, title, empty, box);
}
