// A rule beside a day of a device that it is for: limit, deadband and delays are guides that can be moved.
import { createLine } from '../chart/line.js';
import { css } from '../chart/palette.js';
import { h, setText } from '../core/dom.js';
import { rounded } from '../model/rulechange.js';
import { limitsOf, sampleOf } from '../model/rules.js';
import { createCourse, RANGES } from '../model/series.js';
import { createDelays } from './delays.js';
import { createSlider } from './slider.js';

const HEIGHT = 220; // px
const ROOM = 0.15; // of what is shown stays free above and below, for guides to be moved into

/** createRuleChart makes it for a rule's form, and draws it again as the form changes. */
export function createRuleChart(ctx, scope, form) {
  const { t } = ctx;
  const delays = createDelays(ctx, form);
  const place = h('div', { class: 'rule-plot-place' });
  form.onChange(delays.draw);
  delays.draw();
  if (form.base().parameter) {
    sampleOf(form.base()).catch(() => '').then((sample) => {
      if (!scope.isOver()) place.append(...(sample ? createPlot(ctx, scope, form, sample) : [h('p', { class: 'panel-note' }, t('rules.chart.none'))]));
    });
  } else if (delays.isEmpty) return null;
  return h('div', { class: 'rule-chart' }, place, delays.el);
}

function createPlot(ctx, scope, form, sample) {
  const { t } = ctx;
  const { parameter } = form.base();
  const box = h('div', { class: 'chart' });
  const caption = h('p', { class: 'panel-note' });
  const course = createCourse(sample);
  let chart = null;
  let columns = null;
  let held = null; // the values between which the chart is while a guide is dragged

  const figures = () => ({ ...form.base(), ...form.figures() });
  const limits = () => limitsOf([{ ...figures(), disabled: false }], parameter);
  const backOf = (l) => (l.operator === '<' ? l.value + l.deadband : l.value - l.deadband);
  const decimals = () => ctx.sensors.get(parameter).decimals ?? 2;
  const sliders = form.has('limit') && limits().length > 0 ? [limitSlider(), deadbandSlider()] : [];
  const guides = h('div', { class: 'guides' }, sliders.map((s) => s.el));

  /** valueAt is the value under the pointer, not beyond what is shown. */
  function valueAt(e) {
    const y = Math.min(Math.max(e.clientY - box.getBoundingClientRect().top - chart.area().top, 0), chart.area().height);
    return chart.valueAt(y);
  }

  function slider(name, value, set) {
    const s = createSlider(name, {
      className: `guide-${name}`, label: t(`rules.guide.${name}`), orientation: 'vertical',
      move: (e) => chart && set(valueAt(e)),
      step: (n) => set(value(limits()[0]) + n * 10 ** -decimals()),
      grip(on) {
        held = on && chart ? [chart.shown().min, chart.shown().max] : null;
        if (!on) paint();
      },
    });
    return { ...s, value };
  }

  function limitSlider() {
    const s = slider('limit', (l) => l.value, (v) => form.set('limit', rounded(v, decimals())));
    const text = (l) => ctx.quantity(parameter, l.value);
    return { ...s, said: (l, [min, max]) => ({ now: l.value, min, max, text: text(l), short: `${t('rules.guide.limit')} ${text(l)}` }) };
  }

  /** deadbandSlider is where the alarm clears: its distance from the limit is the deadband. */
  function deadbandSlider() {
    const s = slider('deadband', backOf, (v) => {
      const [l] = limits();
      form.set('deadband', rounded(Math.max(l.operator === '<' ? v - l.value : l.value - v, 0), decimals()));
    });
    const text = (l) => t('rules.guide.back', { limit: ctx.quantity(parameter, backOf(l)) });
    return { ...s, said: (l, [min, max]) => ({ now: backOf(l), min, max, text: `${text(l)}, ${t('rules.guide.deadband')} ${ctx.quantity(parameter, l.deadband)}`, short: text(l) }) };
  }

  /** range is what the chart shows: all values, and the guides wherever they are. */
  function range() {
    if (held) return held;
    const seen = [...(columns?.min ?? []), ...(columns?.max ?? []), ...limits().flatMap((l) => [l.value, backOf(l)])].filter((v) => typeof v === 'number');
    if (seen.length === 0) return [0, 1];
    const [low, high] = [seen.reduce((a, b) => Math.min(a, b)), seen.reduce((a, b) => Math.max(a, b))];
    const room = (high - low) * ROOM || Math.max(Math.abs(high) * ROOM, 1);
    return [low - room, high + room];
  }

  /** place puts the handles at their lines. */
  function place() {
    const [l] = limits();
    if (!l || !chart) return;
    const area = chart.area();
    guides.style.setProperty('--right', `${box.clientWidth - area.left - area.width}px`);
    for (const s of sliders) {
      s.el.style.setProperty('--y', `${area.top + Math.min(Math.max(chart.yOf(s.value(l)), 0), area.height)}px`);
      s.set(s.said(l, range().map((v) => rounded(v, decimals()))));
    }
  }

  function lines() {
    const color = css(`--${form.base().severity}-text`);
    return limits().flatMap((l) => [{ value: l.value, color }, ...(sliders.length > 0 || l.deadband > 0 ? [{ value: backOf(l), color: css('--muted') }] : [])]);
  }

  function paint() {
    if (!chart) return;
    const to = ctx.plant.serverNow();
    columns = course.columns(parameter, to - RANGES['1d'], to);
    chart.setRange(columns.time[0] ?? to - RANGES['1d'], to);
    chart.setData({ time: columns.time, lines: [columns.values], min: [columns.min], max: [columns.max], singles: [columns.single] });
    setText(caption, [t('rules.chart', { device: ctx.deviceName(sample) }), limits().length > 0 ? t('rules.chart.lines') : '', columns.time.length === 0 ? t('series.nothing') : '', sliders.length > 0 ? t('rules.guide.how') : ''].filter(Boolean).join(' '));
  }

  queueMicrotask(async () => {
    if (scope.isOver()) return;
    chart = createLine(box, { lines: [{ label: ctx.sensorName(parameter) }], height: HEIGHT, band: true, limits: lines, range, onDraw: place });
    paint();
    const to = ctx.plant.serverNow();
    await course.load(Math.round(to - RANGES['1d']), Math.round(to), [parameter]).catch(() => {});
    if (!scope.isOver()) paint();
  });
  form.onChange(paint);
  scope.onEnd(() => {
    chart?.destroy();
    chart = null;
  });
  return [h('div', { class: 'rule-plot' }, box, guides), caption];
}
