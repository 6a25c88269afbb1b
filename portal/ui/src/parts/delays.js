// On-delay and off-delay as handles on a scale of time.
import { h, setText } from '../core/dom.js';
import { placeOf, STOPS, stopAfter, stopAt } from '../model/rulechange.js';
import { duration } from './rules.js';
import { createSlider } from './slider.js';

const NAMES = { on_delay_ms: 'on_delay', off_delay_ms: 'off_delay' };
const TICKS = [0, 10_000, 60_000, 600_000, 3_600_000, 28_800_000, 86_400_000];

/** createDelays makes the scale of a form's delays; draw() puts the handles where the form has them. */
export function createDelays(ctx, form) {
  const { t } = ctx;
  const rows = Object.keys(NAMES).filter(form.has).map((key) => {
    const track = h('div', { class: 'delay-track' });
    const bar = h('div', { class: 'delay-bar', 'aria-hidden': 'true' });
    const value = h('span', { class: 'delay-value num' });
    const now = () => form.figures()[key] ?? form.base()[key] ?? 0;
    const slider = createSlider(NAMES[key], {
      className: 'guide-delay', label: t(`rules.guide.${NAMES[key]}`), orientation: 'horizontal',
      move: (e) => {
        const box = track.getBoundingClientRect();
        form.set(key, stopAt((e.clientX - box.left) / box.width));
      },
      step: (n) => form.set(key, stopAfter(now(), n)),
    });
    track.append(bar, slider.el);
    return {
      el: h('div', { class: 'delay-row' }, h('span', { class: 'delay-name', 'aria-hidden': 'true' }, t(`rules.guide.${NAMES[key]}`)), track, value),
      draw() {
        const ms = now();
        const text = ms > 0 ? duration(ms, ctx) : t('rules.guide.none');
        track.style.setProperty('--at', String(placeOf(ms)));
        setText(value, text);
        slider.set({ now: ms / 1000, min: 0, max: STOPS.at(-1) / 1000, text, short: '' });
      },
    };
  });
  const scale = h('div', { class: 'delay-scale', 'aria-hidden': 'true' }, TICKS.map((ms) => {
    const tick = h('span', { class: 'num' }, ms > 0 ? duration(ms, ctx) : '0');
    tick.style.setProperty('--at', String(placeOf(ms)));
    return tick;
  }));
  return {
    el: h('div', { class: 'delays' }, rows.map((r) => r.el), rows.length > 0 ? h('div', { class: 'delay-row' }, scale) : null),
    isEmpty: rows.length === 0,
    draw: () => rows.forEach((r) => r.draw()),
  };
}
