// Devices and buildings side by side: one chart for each sensor, one cursor through all of them.
import { createStrip } from '../chart/strip.js';
import { h, setAttr, setText } from '../core/dom.js';
import { first, keysOf } from '../model/lines.js';
import { RANGES } from '../model/series.js';
import { pan, resize, whole, zoom } from '../model/window.js';
import { createRange, historyNote } from '../parts/range.js';
import { createTrendChart } from '../parts/trend-chart.js';
import { createTrendFeed } from '../parts/trend-feed.js';
import { createTrendFiles } from '../parts/trend-files.js';
import { createTrendFoot } from '../parts/trend-foot.js';
import { buildingsOf, createTrendLines, nameOf } from '../parts/trend-lines.js';

const FIRST = 2; // sensors shown when none was chosen
const OFFERED = 7; // sensors that are offered without asking for more
const RELOAD = 5000;
const SETTLED = 250; // ms after the last turn of a wheel that finer data is asked for
const SLOWEST = 5000; // ms between two drawings of what goes on
const STEP = 0.25; // of the range that an arrow key moves by
const ALARMS_WAIT = 2000; // ms for which the first choice waits for alarms
const EMPTY = 5000; // ms after which a plant without devices is one
const BEFORE = { '1d': 86_400_000, '7d': 7 * 86_400_000 };

export function createTrends(ctx, scope, route) {
  const { t } = ctx;
  const p = route.params;
  const state = {
    devices: keysOf(p.devices), // keys of lines: devices, and buildings
    sensors: keysOf(p.sensors),
    range: RANGES[p.range] ? p.range : '5m',
    from: Number(p.from) || 0,
    to: Number(p.to) || 0,
    compare: BEFORE[p.compare] ? p.compare : '',
  };
  const charts = new Map(); // sensor → chart
  const feed = createTrendFeed(ctx, scope);
  const opened = Date.now();
  let isChosen = state.devices.length > 0; // by a person, or for somebody who came without a choice
  let hovered = null; // the time at the cursor
  let stripRange = null; // while a part of a range is shown: all of it
  let drawnAt = 0;
  let news = 0; // of the alarms that are drawn
  let timer = 0;
  let isWide = false; // all sensors are offered

  const note = h('p', { class: 'panel-note', role: 'status' });
  const stack = h('div', { class: 'trend-stack' });
  const lines = createTrendLines(ctx, (keys) => {
    state.devices = keys;
    changed();
  });
  const range = createRange(ctx, state, () => {
    stripRange = null;
    settle();
  });
  const sensors = h('span', { class: 'group trend-sensors', role: 'group', 'aria-label': t('sensor') });
  const pause = h('button', { class: 'button is-small', onclick: ctx.togglePause });
  const step = (by, label) => h('button', { class: 'button is-small', 'data-step': by, title: t(label), 'aria-label': t(label), onclick: () => see(pan(range.window(), by * span(), now())) }, by < 0 ? '◀' : '▶');
  const compare = h('span', { class: 'group', role: 'group', 'aria-label': t('trends.compare') }, [['1d', 'trends.yesterday'], ['7d', 'trends.week']].map(([key, label]) =>
    h('button', { class: 'button is-small', 'data-compare': key, onclick: () => {
      state.compare = state.compare === key ? '' : key;
      changed();
    } }, t(label))));
  const strip = createStrip(h('div', { class: 'trend-strip' }), t('trends.strip'), {
    onPan: (by) => see(pan(range.window(), by, now())),
    onEdge: (edge, at) => see(resize(range.window(), edge, at, now())),
  });
  const foot = createTrendFoot(ctx, feed);
  const files = createTrendFiles(ctx, feed, () => {
    const [from, to] = range.window().map(Math.round);
    return { from, to, charts: [...charts.values()].filter((c) => c.chart), foot: foot.text() };
  });
  const gestures = {
    onZoom: (at, factor) => see(zoom(range.window(), at, factor, now())),
    onPan: (by) => see(pan(range.window(), by, now())),
  };

  const now = () => ctx.view.paused || ctx.plant.serverNow();
  const span = () => {
    const [from, to] = range.window();
    return to - from;
  };

  /** see shows another time at once; what it needs is asked for when the person has come to rest. */
  function see([from, to]) {
    range.peek(from, to);
    draw();
    clearTimeout(timer);
    timer = setTimeout(settle, SETTLED);
  }

  /** settle asks for what is shown, and puts it into the address. */
  function settle() {
    clearTimeout(timer);
    remember();
    draw();
    load();
  }

  function remember() {
    ctx.setParams({ devices: state.devices.join(), sensors: state.sensors.join(), range: state.range, from: state.from || '', to: state.from ? state.to : '', compare: state.compare });
  }

  /** changed is called when other lines or sensors are wanted. */
  function changed() {
    isChosen = true;
    remember();
    build();
    load();
  }

  /** choose picks lines for somebody who came without a choice, once the plant is known. */
  function choose() {
    if (isChosen || ctx.fleet.size() === 0) return;
    if (ctx.alarms.version() === 0 && Date.now() - opened < ALARMS_WAIT) return;
    const alarms = ctx.alarms.list((a) => !a.historical && ctx.concerns(a));
    state.devices = first(buildingsOf(ctx), alarms, (id) => ctx.fleet.byID.has(id));
    const usual = ctx.sensors.charted(['number']).map((s) => s.name);
    const told = alarms.filter((a) => state.devices.includes(a.device_id)).map((a) => a.threshold?.parameter).filter((s) => usual.includes(s));
    if (state.sensors.length === 0) state.sensors = ctx.sensors.order([...new Set([...told, ...usual])].slice(0, FIRST));
    changed();
  }

  function toggleSensor(s) {
    state.sensors = state.sensors.includes(s) ? state.sensors.filter((x) => x !== s) : ctx.sensors.order([...state.sensors, s]);
    if (state.sensors.length === 0) state.sensors = [s];
    changed();
  }

  /** offer shows a button for each sensor that the lines have. */
  function offer() {
    const some = feed.lines().some((l) => l.building) ? ctx.sensors.charted(['number']).map((s) => s.name) : [];
    const names = ctx.sensors.order(new Set([...state.sensors, ...some, ...feed.courses().flatMap((c) => c.sensors())]));
    if (state.sensors.length === 0 && names.length > 0) {
      state.sensors = names.slice(0, FIRST);
      build();
      return;
    }
    const offered = isWide || names.length <= OFFERED + 1 ? names : names.filter((s, i) => i < OFFERED || state.sensors.includes(s));
    const rest = names.length - offered.length;
    const key = [...offered.map(ctx.sensorName), rest].join();
    if (sensors.dataset.key !== key) {
      sensors.dataset.key = key;
      sensors.replaceChildren(...offered.map((s) => h('button', { class: 'button is-small', 'data-sensor': s, onclick: () => toggleSensor(s) }, ctx.sensorName(s))),
        ...(rest > 0 ? [h('button', { class: 'button is-small', 'data-more': true, onclick: () => {
          isWide = true;
          offer();
        } }, t('trends.more', { n: rest }))] : []));
    }
    for (const b of sensors.querySelectorAll('[data-sensor]')) setAttr(b, 'aria-pressed', String(state.sensors.includes(b.dataset.sensor)));
  }

  function build() {
    feed.set(state.devices, BEFORE[state.compare] ?? 0);
    offer();
    for (const c of charts.values()) c.destroy();
    charts.clear();
    stack.replaceChildren(...(state.devices.length > 0 ? state.sensors.map(chartOf) : []));
    draw();
  }

  function chartOf(sensor) {
    const c = createTrendChart(ctx, feed, sensor, {
      names: (k) => nameOf(ctx, state.devices[k]),
      gestures,
      onZoom: range.zoom,
      onReset: range.reset,
      onHover: (at) => {
        hovered = at;
        read(true);
      },
    });
    queueMicrotask(() => { // laid out by then
      if (scope.isOver() || !c.el.isConnected) return;
      c.mount();
      charts.set(sensor, c);
      draw();
    });
    return c.el;
  }

  const read = scope.draw(() => {
    for (const c of charts.values()) c.read(hovered);
  }, []);

  function draw() {
    drawnAt = performance.now();
    news = feed.news();
    setText(pause, t(ctx.view.paused ? 'trends.live' : 'trends.pause'));
    lines.show(state.devices);
    offer();
    const [from, to] = range.window();
    for (const c of charts.values()) c.draw(from, to);
    read(true);
    drawStrip([from, to]);
    explain(from, to);
  }

  /** frame sets what the strip shows: nothing of its own while all of a range is in the charts. */
  function frame(view) {
    if (!state.from) stripRange = null;
    else if (!stripRange || view[0] < stripRange[0] || view[1] > stripRange[1]) stripRange = whole(view, RANGES[state.range], now());
  }

  function drawStrip(view) {
    const [sensor] = state.sensors;
    const c = charts.get(sensor);
    strip.el.hidden = !c;
    if (!c) return;
    frame(view);
    const looks = state.devices.map((_, i) => i);
    const { time, lines: all } = stripRange ? feed.strip(sensor, stripRange) : c.data;
    strip.draw({ time, lines: all.slice(0, looks.length), whole: stripRange ?? view, view, looks });
  }

  /** explain says what is shown and what is not. */
  function explain(from, to) {
    if (state.devices.length === 0) {
      setText(note, t(isChosen || Date.now() - opened > EMPTY ? 'trends.none' : 'load.wait'));
      return;
    }
    const { text, limit, begins } = historyNote(ctx, feed.courses(), from);
    setText(note, text);
    range.limit(limit, begins);
    files.limit(limit);
    foot.draw(begins);
    for (const b of compare.children) {
      const isHeld = begins === null || (begins > 0 && begins < to - BEFORE[b.dataset.compare]);
      const why = limit || (isHeld ? '' : begins ? t('range.since', { time: ctx.fmt.moment(begins, now(), ctx.lang()) }) : t('series.nothing'));
      b.disabled = why !== '' && state.compare !== b.dataset.compare;
      setAttr(b, 'title', why || t('trends.compare'));
      setAttr(b, 'aria-pressed', String(state.compare === b.dataset.compare));
    }
  }

  async function load() {
    if (state.devices.length === 0) return;
    const [from, to] = range.window().map(Math.round);
    frame([from, to]);
    const all = [feed.load([from, to], state.sensors, !state.from)];
    if (stripRange && state.sensors.length > 0) all.push(feed.loadStrip(stripRange.map(Math.round), state.sensors[0]));
    await Promise.all(all);
    if (!scope.isOver()) draw();
  }

  /** onKey moves and zooms by keys. */
  function onKey(e) {
    if (ctx.typing(e) || state.devices.length === 0) return;
    const [from, to] = range.window();
    const by = { ArrowLeft: -STEP, ArrowRight: STEP }[e.key];
    const factor = { '+': 0.5, '=': 0.5, '-': 2 }[e.key];
    if (!by && !factor) return;
    e.preventDefault();
    see(by ? pan([from, to], by * (to - from), now()) : zoom([from, to], hovered ?? (from + to) / 2, factor, now()));
  }

  /** isDue tells whether another drawing would look different: by a pixel at least, or by an alarm. */
  function isDue() {
    if (news !== feed.news()) return true;
    if (ctx.view.paused || state.from) return false;
    const pixel = span() / ([...charts.values()][0]?.chart?.width() || 1);
    return performance.now() - drawnAt >= Math.min(pixel, SLOWEST) - 50;
  }

  scope.draw(() => {
    choose();
    if (isDue()) draw();
  }, ['second']);
  scope.draw(choose, ['fleet', 'alarms']);
  scope.draw(draw, ['view', 'sensors']);
  scope.listen(window, 'keydown', onKey);
  ctx.debug.trends = charts;
  build();
  load();
  scope.every(RELOAD, async () => {
    const [, to] = range.window();
    if (!ctx.view.paused && !state.from && feed.isDue(to)) await load();
  });
  scope.onEnd(() => {
    clearTimeout(timer);
    strip.destroy();
    for (const c of charts.values()) c.destroy();
  });
  return h('div', { class: 'trends-page' },
    h('section', { class: 'panel trend-tools' },
      h('header', { class: 'panel-head' }, h('h1', { class: 'panel-title' }, t('trends.title')), lines.el, h('span', { class: 'panel-space' }), sensors, h('span', { class: 'group trend-range' }, step(-1, 'trends.earlier'), range.el, step(1, 'trends.later')), compare, pause), note),
    stack,
    h('section', { class: 'panel trend-below', 'aria-label': t('trends.strip') }, strip.el, h('footer', { class: 'trend-foot' }, foot.signs, h('span', { class: 'panel-space' }), foot.el, files.el)));
}
