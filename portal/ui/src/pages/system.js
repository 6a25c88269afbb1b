// The pipeline and its figures, as in /metrics.
import { get } from '../core/api.js';
import { h, setText } from '../core/dom.js';
import { byName } from '../model/operators.js';
import { panel } from '../parts/badge.js';

const BOXES = ['devices', 'gateways', 'kafka', 'core', 'screen'];

export function createSystemPage(ctx, scope) {
  const { t, fmt } = ctx;
  const boxes = Object.fromEntries(BOXES.map((b) => [b, { value: h('div', { class: 'pipe-value num' }), note: h('div', { class: 'pipe-note num' }) }]));
  const arrows = BOXES.slice(1).map(() => ({ rate: h('span', { class: 'num' }), delay: h('span', { class: 'num' }) }));
  const line = h('div', { class: 'pipe', tabindex: '0', role: 'region', 'aria-label': t('system.pipe') }, BOXES.flatMap((b, i) => [
    i > 0 ? h('div', { class: 'pipe-arrow' }, arrows[i - 1].rate, h('span', { 'aria-hidden': 'true' }, '→'), arrows[i - 1].delay) : null,
    h('div', { class: 'pipe-box' }, h('div', { class: 'pipe-name' }, t(`pipe.${b}`)), boxes[b].value, boxes[b].note),
  ]));
  const tables = ['portal', 'push', 'kafka', 'sources', 'operators'].map((name) => {
    const dl = h('dl', { class: 'facts' });
    return { name, dl, el: panel(`system-${name}`, t(`system.${name}`), dl).el };
  });

  function facts(name, rows) {
    const dl = tables.find((x) => x.name === name).dl;
    const key = JSON.stringify(rows);
    if (dl.dataset.key === key) return;
    dl.dataset.key = key;
    dl.replaceChildren(...rows.flatMap(([k, v, metric]) => [h('dt', {}, k), h('dd', { class: 'num', 'data-metric': metric ?? null }, v)]));
  }

  scope.draw(() => {
    const s = ctx.plant.state.stats;
    if (!s) return;
    const ms = (q) => (q ? fmt.millis(q.mean) : '–');
    setText(boxes.devices.value, fmt.count(s.devices.total));
    setText(boxes.devices.note, t('pipe.devices.note', { n: fmt.count(s.devices.online) }));
    setText(boxes.gateways.value, fmt.count(s.gateways.total));
    setText(boxes.gateways.note, t('pipe.gateways.note', { n: fmt.count(s.gateways.silent) }));
    setText(boxes.kafka.value, s.kafka?.lag === undefined ? '–' : fmt.count(s.kafka.lag));
    setText(boxes.kafka.note, t('pipe.kafka.note'));
    setText(boxes.core.value, fmt.rate(s.readings.per_second));
    setText(boxes.core.note, t('pipe.core.note'));
    setText(boxes.screen.value, fmt.count(s.clients.open));
    setText(boxes.screen.note, t('pipe.screen.note'));
    const accepted = ctx.plant.state.gateways.reduce((n, g) => n + (g.rate ?? 0), 0);
    const rates = [accepted, accepted, s.readings.per_second, s.pushed.per_second];
    const delays = ['', '', ms(s.latency_ms.to_portal), ms(s.latency_ms.to_socket)];
    arrows.forEach((a, i) => {
      setText(a.rate, t('per.second', { n: fmt.rate(rates[i]) }));
      setText(a.delay, delays[i]);
    });
    const p = s.process ?? {};
    facts('portal', [
      [t('system.version'), s.version],
      [t('system.process'), t(p.shared ? 'system.process.shared' : 'system.process.own')],
      [t('system.memory'), p.memory_bytes === undefined ? '–' : fmt.bytes(p.memory_bytes), 'iot_memory_usage_bytes'],
      [t('system.cpu'), p.cpu_percent === undefined ? '–' : `${fmt.fixed(p.cpu_percent, 1)} %`, 'iot_cpu_usage_percent'],
      [t('system.goroutines'), fmt.count(p.goroutines), 'iot_goroutines_total'],
      [t('system.readings'), fmt.count(s.readings.total), 'readings_total'],
      [t('system.backfill'), fmt.count(s.readings.backfill)],
    ]);
    facts('push', [
      [t('system.clients'), `${fmt.count(s.clients.open)} / ${fmt.count(s.clients.limit)}`, 'iot_websocket_connections_total'],
      [t('system.pushed'), fmt.count(s.pushed.total), 'portal_dialect_messages_total'],
      [t('system.conflated'), fmt.count(s.pushed.conflated)],
      [t('system.sent'), fmt.bytes(s.pushed.bytes)],
      [t('system.slow'), fmt.count(s.clients.closed_slow)],
      [t('system.turned'), fmt.count(s.clients.refused)],
      [t('system.p99'), s.latency_ms.to_socket ? fmt.millis(s.latency_ms.to_socket.p99) : '–'],
    ]);
    facts('kafka', s.kafka?.partitions?.length ? s.kafka.partitions.map((x) => [t('system.partition', { n: x.partition }), fmt.count(x.lag)]) : [[t('system.lag.unknown'), '–']]);
    facts('sources', [
      [t('system.hub'), t(s.sources.hub ? 'yes' : 'no')],
      [t('system.kafka.read'), t(s.sources.kafka ? 'yes' : 'no')],
      ...(s.redis ? [[t('system.redis'), t(s.redis.up ? 'yes' : 'no')]] : []),
    ]);
  }, ['stats', 'gateways']);
  scope.every(5000, async () => {
    const people = byName((await get('/api/v1/operators')).items);
    if (scope.isOver()) return;
    facts('operators', people.length === 0 ? [[t('system.operators.none'), '–']] : people.map((p) => [
      p.name || t('system.operators.unnamed'),
      [t('system.operators.screens', { n: fmt.count(p.screens) }), ctx.age(p.since), p.portals.join(', ')].join(' · '),
    ]));
  });
  return h('div', { class: 'system-page' }, h('h1', { class: 'sr-only' }, t('system.title')), h('section', { class: 'panel' }, line), h('div', { class: 'system-tables' }, tables.map((x) => x.el)), h('p', { class: 'panel-note' }, h('a', { href: '/metrics' }, '/metrics'), ' · ', h('a', { href: '/api/docs' }, t('system.docs'))));
}
