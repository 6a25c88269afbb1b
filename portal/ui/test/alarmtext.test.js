// What alarms say. The examples are those of the portal's package alarmtext, whose files have the same texts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { translator } from '../src/core/i18n.js';
import en from '../src/i18n/en.js';
import zh from '../src/i18n/zh.js';
import { alarmText, deadbandText, hasValueLimit, kindOf, limitText, otherText, peakText, roomText } from '../src/model/alarmtext.js';

const examples = JSON.parse(readFileSync(new URL('../../internal/alarmtext/testdata/texts.json', import.meta.url), 'utf8'));
process.env.TZ = examples.zone;

const OWN = { battery: { unit: '%', decimals: 0 }, signal_strength: { unit: 'dBm', decimals: 0 } };

function env(lang) {
  const t = translator({ en, zh }[lang]);
  const of = (name) => ({ ...examples.sensors[name], ...OWN[name] });
  return {
    t,
    name: (n) => (t.has(`param.${n}`) ? t(`param.${n}`) : (of(n)[lang] ?? n)),
    unit: (n) => of(n).unit ?? '',
    decimals: (n) => of(n).decimals ?? 2,
  };
}

const named = (name) => examples.alarms.find((e) => e.name === name).alert;

test('an alarm says the same as in the files of the portal', () => {
  assert.ok(examples.alarms.length > 40);
  for (const { name, alert, en, zh } of examples.alarms) {
    assert.equal(alarmText(alert, env('en')), en, name);
    assert.equal(alarmText(alert, env('zh')), zh, name);
  }
});

test('a rate is no temperature, and what has a unit says it', () => {
  for (const { name, alert } of examples.alarms) {
    for (const lang of ['en', 'zh']) {
      const text = alarmText(alert, env(lang));
      if (kindOf(alert) === 'rate') assert.doesNotMatch(text, /-?\d+(\.\d+)?\s°C > /, name);
      if (alert.unit && alert.unit !== '1' && !alert.anomaly) assert.ok(text.includes(alert.unit), `${name}: ${text}`);
      if (lang === 'zh' && alert.kind && alert.kind !== 'odd') assert.doesNotMatch(text.replace('thing', ''), /[A-Za-z]{4,}/, name);
    }
  }
});

test('only a limit on the value itself can be drawn among the values', () => {
  for (const name of ['high', 'low', 'battery', 'high, of a former version']) assert.ok(hasValueLimit(named(name)), name);
  for (const name of ['rate up', 'stuck', 'above its room', 'switch on', 'anomaly', 'offline', 'rate, of a former version']) assert.ok(!hasValueLimit(named(name)), name);
});

test('the figures of an alarm are in their own units', () => {
  const e = env('en');
  const plain = (s) => s.replace(/\s/g, ' ');
  for (const [name, peak, limit] of [
    ['high', '91.0 °C', '> 75 °C'],
    ['rate down', '-70.0 °C/min', '> 5 °C/min'],
    ['a small rate', '0.10 °C/s', '> 0.05 °C/s'],
    ['stuck', '–', '30 min'],
    ['above its room', '+5.0 °C', '± 3 °C'],
    ['switch on', '–', 'on'],
    ['offline', '–', '–'],
    ['rate over a second, of a former version', '-2.5 °C/s', '< -1 °C/s'],
    ['two conditions, of a former version', '–', '–'],
    ['nothing but a type', '–', '–'],
  ]) {
    assert.equal(plain(peakText(named(name), e)), peak, `peak of ${name}`);
    assert.equal(plain(limitText(named(name), e)), limit, `limit of ${name}`);
  }
  assert.equal(plain(deadbandText({ ...named('rate up'), deadband: 1 }, e)), '1 °C/min');
  assert.equal(deadbandText(named('rate up'), e), '–');
  assert.equal(plain(roomText(named('above its room'), e)), '21.4 °C');
  assert.equal(roomText(named('high'), e), '');
  assert.equal(plain(otherText(named('both of two conditions'), e)), 'Current 0.12 A < 0.3 A');
  assert.equal(otherText(named('high'), e), '');
});
