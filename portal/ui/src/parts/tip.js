// A tooltip with the live values of the device under the pointer.
import { h, setText } from '../core/dom.js';

const MOST = 8; // sensors
const WAIT = 120; // ms of rest before a device is subscribed to

/** createTip makes one within host; roomOf(device) says something of the room. */
export function createTip(ctx, scope, host, roomOf = () => '') {
  const title = h('div', { class: 'tip-title' });
  const place = h('div', { class: 'tip-place' });
  const room = h('div', { class: 'tip-place tip-room num' });
  const list = h('dl', { class: 'tip-values' });
  const age = h('div', { class: 'tip-age' });
  const el = h('div', { class: 'tip', role: 'tooltip', hidden: true }, title, place, room, list, age);
  host.append(el);
  let device = null;
  let giveBack = null;
  let timer = 0;
  let last = null;

  function hide() {
    device = null;
    el.hidden = true;
    clearTimeout(timer);
    giveBack?.();
    giveBack = null;
    last = null;
  }

  function show(d, x, y) {
    if (!d) {
      hide();
      return;
    }
    move(x, y);
    if (d === device) return;
    hide();
    device = d;
    el.hidden = false;
    fill();
    move(x, y);
    timer = setTimeout(() => {
      giveBack = scope.subscribe(`device/${d.id}`, ({ kind, data }) => {
        if (kind === 'lagged') return;
        last = kind === 'snapshot' ? data[0] : data;
        fill();
      });
    }, WAIT);
  }

  function move(x, y) {
    const r = host.getBoundingClientRect();
    const left = Math.min(x - r.left + 14, r.width - el.offsetWidth - 4);
    const below = y - r.top + 16;
    el.style.left = `${Math.max(left, 0)}px`;
    el.style.top = `${below + el.offsetHeight > r.height ? Math.max(y - r.top - el.offsetHeight - 8, 0) : below}px`;
  }

  function fill() {
    if (!device) return;
    setText(title, device.name || device.id);
    setText(place, `${ctx.place(device)} · ${ctx.stateText(device)}`);
    setText(room, roomOf(device));
    const sensors = last?.reading?.sensors ?? {};
    list.replaceChildren(
      ...ctx.sensors.order(Object.keys(sensors)).slice(0, MOST)
        .flatMap((p) => [h('dt', {}, ctx.sensorName(p)), h('dd', { class: 'num' }, ctx.sensorText(p, sensors[p]))]),
    );
    setText(age, last?.reading ? ctx.freshness(last.time) : '');
  }

  scope.draw(fill, ['tick']);
  scope.onEnd(hide);
  return { show, hide };
}
