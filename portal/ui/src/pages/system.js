// The plant itself: its stages and processes, what changed, and the figures of /metrics.
import { get } from '../core/api.js';
import { h } from '../core/dom.js';
import { byName } from '../model/operators.js';
import { panel } from '../parts/badge.js';
import { createLetters } from '../parts/letters.js';
import { createEvents, createProcesses, createWarnings } from '../parts/processes.js';
import { createStages } from '../parts/stages.js';

export function createSystemPage(ctx, scope, route) {
  const { t, fmt } = ctx;
  const tables = ['throughput', 'push', 'screen', 'sources', 'operators'].map((name) => {
    const dl = h('dl', { class: 'facts' });
    return { name, dl, el: panel(`system-${name}`, t(name === 'screen' ? 'screen.title' : `system.${name}`), dl).el };
  });

  function facts(name, rows) {
    const dl = tables.find((x) => x.name === name).dl;
    const key = JSON.stringify(rows);
    if (dl.dataset.key === key) return;
    dl.dataset.key = key;
    dl.replaceChildren(...rows.flatMap(([k, v, metric]) => [h('dt', {}, k), h('dd', { class: 'num', 'data-metric': metric ?? null }, v)]));
  }

  /** screenFacts says how long this screen takes, and how that is known. */
  function screenFacts(f) {
    const fine = (ms) => `${fmt.fixed(ms, ms < 10 ? 1 : 0)}${fmt.THIN}ms`;
    if (!f?.paint) return [[t('screen.paint'), t('screen.none')]];
    return [
      [t('screen.paint'), t('screen.p', { p50: fine(f.paint.p50), p99: fine(f.paint.p99) }), 'portal_screen_latency_seconds'],
      [t('screen.frames'), fmt.count(f.count)],
      [t('screen.clock'), fine(f.offset)],
      ['', t('screen.how', { n: fmt.count(f.paint.n), ms: fine(f.within) })],
    ];
  }

  scope.draw(() => {
    const s = ctx.plant.state.stats;
    if (!s) return;
    facts('throughput', [
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
    facts('screen', screenFacts(ctx.screen?.figures()));
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
  return h('div', { class: 'system-page' }, h('h1', { class: 'sr-only' }, t('system.title')),
    ...createStages(ctx, scope, route), createProcesses(ctx, scope), createLetters(ctx, scope),
    h('div', { class: 'system-lists' }, createEvents(ctx, scope), createWarnings(ctx, scope)),
    h('div', { class: 'system-tables' }, tables.map((x) => x.el)),
    h('p', { class: 'panel-note' }, h('a', { href: '/metrics' }, '/metrics'), ' · ', h('a', { href: '/api/docs' }, t('system.docs'))));
}
