// The picture of a floor with its devices on it: the same shapes and colours as in the fleet map.
import { glyph, h, setAttr, setClass } from '../core/dom.js';
import { PRIORITIES } from '../model/fleet.js';

/** createPlanMap makes it. only is the one device to show, '' for all. It is {el, picture, show(url, points, devices), draw(), at(event), point(id)}. */
export function createPlanMap(ctx, { only = '' } = {}) {
  const picture = h('img', { class: 'plan-picture', alt: '', draggable: 'false' });
  const layer = h('div', { class: 'plan-points' });
  const el = h('div', { class: 'plan-sheet' }, picture, layer);
  const marks = new Map(); // id → element
  let devices = [];

  /** show shows a picture, '' for none, and the devices that have a place on it. */
  function show(url, points, here, editing = false) {
    if (picture.getAttribute('src') !== url) setAttr(picture, 'src', url || null);
    picture.hidden = !url;
    devices = here.filter((d) => points.has(d.id) && (!only || d.id === only));
    const wanted = new Set(devices.map((d) => d.id));
    for (const [id, mark] of marks) {
      if (wanted.has(id) && (mark.tagName === 'BUTTON') === editing) continue;
      mark.remove();
      marks.delete(id);
    }
    for (const d of devices) {
      let mark = marks.get(d.id);
      if (!mark) {
        mark = editing ? h('button', { class: 'plan-point', type: 'button', 'data-id': d.id, 'data-key': d.id }) : h('a', { class: 'plan-point', href: ctx.deviceHref(d.id), 'data-id': d.id });
        marks.set(d.id, mark);
        layer.append(mark);
      }
      const { x, y } = points.get(d.id);
      mark.style.left = `${x}%`;
      mark.style.top = `${y}%`;
      setAttr(mark, 'data-at', `${x},${y}`);
    }
    draw();
  }

  function draw() {
    for (const d of devices) dress(marks.get(d.id), d);
  }

  /** dress shows the state of a device at its place: what holds is filled, what is over and unseen outlined. */
  function dress(mark, d) {
    const label = [d.name || d.id, ctx.stateText(d), PRIORITIES[d.priority] && ctx.t(`severity.${PRIORITIES[d.priority]}`), d.maintenance && ctx.t('device.maintenance')].filter(Boolean).join(' · ');
    const key = [label, d.over].join();
    if (mark.dataset.look === key) return;
    mark.dataset.look = key;
    setAttr(mark, 'aria-label', label);
    setAttr(mark, 'title', label);
    setAttr(mark, 'data-fill', PRIORITIES[d.priority] || null);
    setAttr(mark, 'data-outline', PRIORITIES[d.over] || null);
    setClass(mark, 'is-offline', d.state === 2);
    setClass(mark, 'is-maintained', Boolean(d.maintenance));
    setClass(mark, 'is-dim', d.state !== 1);
    mark.replaceChildren(d.priority > 0 ? glyph(PRIORITIES[d.priority]) : h('span', { class: 'plan-dot' }), ...(d.maintenance ? [h('span', { class: 'plan-clock', 'aria-hidden': 'true' }, '◷')] : []));
  }

  return {
    el,
    picture,
    show,
    draw,
    point: (id) => marks.get(id),
    /** at is where on the picture an event is, in percent; beyond its edges less than 0 or more than 100. */
    at(event) {
      const r = layer.getBoundingClientRect();
      return { x: ((event.clientX - r.left) / r.width) * 100, y: ((event.clientY - r.top) / r.height) * 100 };
    },
  };
}
