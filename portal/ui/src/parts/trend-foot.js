// The line below the charts: what the signs mean, how fine the data is, since when it is held.
import { h, setText } from '../core/dom.js';

const SIGNS = [['◆', 'raised'], ['◇', 'cleared'], ['╌', 'limit'], ['▒', 'band'], ['•', 'reading'], ['␣', 'gap']];

/** createTrendFoot makes it. draw(begins) says what holds for what is shown. */
export function createTrendFoot(ctx, feed) {
  const { t } = ctx;
  const about = h('span', { class: 'num', 'data-about': true });
  const missing = h('span', { class: 'trend-missing', role: 'status' });
  const signs = h('span', { class: 'legend trend-signs' }, SIGNS.map(([sign, name]) =>
    h('span', { class: 'legend-item', 'data-sign': name }, h('span', { class: 'trend-sign', 'aria-hidden': 'true' }, sign), t(`trends.sign.${name}`))));
  return {
    el: h('span', { class: 'panel-note trend-about' }, missing, about),
    signs,
    draw(begins) {
      const steps = [...new Set(feed.courses().map((c) => c.step()).filter((s) => s !== null))].sort((a, b) => a - b);
      const fine = steps.map((s) => (s === 0 ? t('trends.readings') : width(s, t))).join(', ');
      const held = begins ? t('range.since', { time: ctx.fmt.moment(begins, ctx.plant.serverNow(), ctx.lang()) }) : '';
      setText(about, [steps.length > 0 ? t('trends.resolution', { fine }) : '', held].filter(Boolean).join(' · '));
      const unknown = feed.unknown();
      setText(missing, [unknown.rules ? t('trends.no_rules') : '', unknown.alarms ? t('trends.no_alarms') : ''].filter(Boolean).join(' '));
    },
    text: () => about.textContent,
  };
}

/** width is the width of a step in words. */
function width(ms, t) {
  const [unit, of] = ms < 60_000 ? ['s', 1000] : ms < 3_600_000 ? ['min', 60_000] : ms < 86_400_000 ? ['h', 3_600_000] : ['d', 86_400_000];
  return t(`age.${unit}`, { n: Math.round((ms / of) * 10) / 10 });
}
