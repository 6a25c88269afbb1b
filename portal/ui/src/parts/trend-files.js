// What the trends page gives to take along: the values as shown, all readings, and a picture.
import { compose } from '../chart/picture.js';
import { css, series } from '../chart/palette.js';
import { query } from '../core/api.js';
import { h } from '../core/dom.js';
import { ago } from './trend-chart.js';
import { nameOf } from './trend-lines.js';
import { local } from './range.js';

const stamp = (ms) => local(ms).replace('T', ' ');

/** createTrendFiles makes the buttons. view() returns {from, to, charts, foot}: what is shown. */
export function createTrendFiles(ctx, feed, view) {
  const { t } = ctx;
  const shown = h('button', { class: 'button is-small', 'data-csv': true, onclick: saveShown }, t('export.shown'));
  const raw = h('button', { class: 'button is-small', 'data-raw': true, 'data-needs': 'investigate', onclick: saveReadings }, t('export.raw'));
  const png = h('button', { class: 'button is-small', 'data-png': true, onclick: savePNG }, t('export.png'));

  function saveShown() {
    const columns = ['time', 'line', 'parameter', 'unit', 'value', 'min', 'max'];
    ctx.saveCSV('trends', columns.map((k) => [k, (r) => r[k]]), rows(feed, view().charts, (s) => ctx.sensors.get(s).unit));
  }

  /** saveReadings downloads all readings of the range, a file for each device. */
  function saveReadings() {
    const { from, to, charts } = view();
    for (const { key } of feed.devices()) {
      const path = `/api/v1/devices/${encodeURIComponent(key)}/readings.csv${query({ parameters: charts.map((c) => c.sensor).join(), from, to })}`;
      h('a', { href: path, download: `${key}.csv` }).click();
    }
  }

  function savePNG() {
    const { from, to, charts, foot } = view();
    if (charts.length === 0) return;
    const names = feed.lines().map((l, i) => ({ ...series(i), text: nameOf(ctx, l.key) }));
    const other = feed.shift() ? names.map((n) => ({ ...n, thin: true, text: `${n.text} · ${ago(ctx, feed)}` })) : [];
    const texts = [];
    const picture = compose({
      title: t('trends.title'),
      range: `${stamp(from)} – ${stamp(to)}`,
      charts: charts.map((c) => ({
        title: c.title(),
        legend: [...names, ...other, ...c.limits.map((l) => ({ color: l.color, dash: [5, 4], text: t('trends.limit', { text: l.label }) }))],
        canvas: c.chart.canvas(),
      })),
      foot: `◆ ${t('trends.sign.raised')} · ◇ ${t('trends.sign.cleared')} · ${foot} · ${t('trends.made', { time: stamp(ctx.plant.serverNow()) })}`,
    }, (text) => texts.push(text));
    ctx.debug.picture = { texts, color: css('--panel') };
    picture.toBlob((blob) => ctx.save('trends.png', blob));
  }

  return {
    el: h('span', { class: 'group' }, shown, raw, png),
    /** limit says why there are no readings to download; empty when there are. */
    limit(reason) {
      raw.disabled = reason !== '' || feed.devices().length === 0;
      raw.title = reason;
    },
  };
}

/** rows are the values of charts as they are drawn; those of another day have the time at which they were taken. */
export function rows(feed, charts, unitOf) {
  const count = feed.lines().length;
  return charts.flatMap(({ sensor, data }) =>
    (data?.time ?? []).flatMap((ms, i) => data.lines.flatMap((line, k) => {
      if (line[i] === undefined || line[i] === null) return [];
      const time = new Date(Math.round(ms - (k >= count ? feed.shift() : 0))).toISOString();
      return [{ time, line: feed.lines()[k % count].key, parameter: sensor, unit: unitOf(sensor), value: line[i], min: data.min[k][i], max: data.max[k][i] }];
    })));
}
