// Rules and their changes as a portal has them, in memory: what a person proposes, approves and withdraws on the page.
import { standIn } from './standin.js';

const HOUR = 3_600_000;

/** ruleOf is one rule of the stand-in: above a limit. */
export function ruleOf(id, { limit = 75, deadband = 3, on = 10_000, off = 30_000, ...more } = {}) {
  return {
    id, type: id, severity: 'high', version: '1a2b3c', source: 'file', origin: 'file', versions: 0, disabled: false, kind: 'high', parameter: 'temperature', operator: '>', limit, deadband, unit: '°C',
    on_delay_ms: on, off_delay_ms: off, where: {}, devices: 3000, sample: 'device_000', day: { raised: 253, share: 0.62, standing: 3, acknowledged: 250, chattering: 1, severities: {} },
    text: textOf(id, { limit, deadband, on, off }), ...more,
  };
}

const textOf = (id, { limit, deadband, on, off }) => `- id: ${id}\n  kind: high\n  parameter: temperature\n  limit: ${limit}\n${deadband ? `  deadband: ${deadband}\n` : ''}${on ? `  on_delay: ${on / 1000}s\n` : ''}${off ? `  off_delay: ${off / 1000}s\n` : ''}  severity: high\n`;

/** withText makes a rule say what a text says: only figures of lines with seconds. */
function withText(rule, yaml) {
  const figure = (name) => Number(new RegExp(`^ +${name}: ([-\\d.]+)`, 'm').exec(yaml)?.[1] ?? 0);
  return { ...rule, text: yaml, origin: 'page', versions: rule.versions + 1, limit: figure('limit'), deadband: figure('deadband'), on_delay_ms: figure('on_delay') * 1000, off_delay_ms: figure('off_delay') * 1000 };
}

/** rulePortal starts one. state is what tests look at and change: {rules, changes, version, requests, refuse}. */
export async function rulePortal() {
  const state = {};
  const fresh = () => Object.assign(state, { rules: [ruleOf('temperature_high'), ruleOf('humidity_high', { limit: 80, parameter: 'humidity', unit: '%', severity: 'medium', day: { raised: 4, share: 0.01 } })], changes: [], version: 'v1', requests: [], refuse: null });
  const error = (status, code, more = {}) => [status, { error: { code, message: code, ...more } }];

  function propose(b) {
    const known = state.changes.find((c) => c.id === b.change_id);
    if (known) return [201, known];
    const rule = state.rules.find((r) => r.id === b.rule);
    if (rule && b.if_version !== state.version) return error(409, 'rule_changed');
    if (/limit: warm/.test(b.yaml ?? '')) return error(422, 'rule_invalid', { problems: [{ line: 4, field: 'rules[0].limit', message: '"warm": want a number' }] });
    const figures = b.change && { limit: rule.limit, deadband: rule.deadband, on: rule.on_delay_ms, off: rule.off_delay_ms, ...b.change, ...(b.change.on_delay_ms !== undefined && { on: b.change.on_delay_ms }), ...(b.change.off_delay_ms !== undefined && { off: b.change.off_delay_ms }) };
    const c = { id: b.change_id, rule: b.rule, yaml: b.remove ? '' : (b.yaml ?? textOf(b.rule, figures)), remove: Boolean(b.remove), before: rule?.text ?? '', base: state.version, by: b.by, at: Date.now(), reason: b.reason, state: 'proposed', trial: b.trial, in_force: false };
    state.changes.unshift(c);
    return [201, c];
  }

  function decide(c, verb, b) {
    if (!c) return error(404, 'change_not_found');
    if (c.state !== 'proposed') return error(409, 'not_proposed');
    if (verb === 'approve' && b.by.trim().toLowerCase() === c.by.trim().toLowerCase()) return error(409, 'same_person');
    Object.assign(c, { note: b.note }, verb === 'approve' ? { state: 'approved', approved_by: b.by, approved_at: Date.now() } : { state: 'withdrawn', withdrawn_by: b.by, withdrawn_at: Date.now() });
    if (verb === 'approve') {
      state.changes.forEach((x) => x.rule === c.rule && (x.in_force = x === c));
      const at = state.rules.findIndex((r) => r.id === c.rule);
      state.rules.splice(at < 0 ? state.rules.length : at, 1, withText(state.rules[at] ?? ruleOf(c.rule, { sample: '' }), c.yaml));
      state.version = `v${Number(state.version.slice(1)) + 1}`;
    }
    return [200, c];
  }

  function answer(method, url, b) {
    const [, , , , part, id, verb] = url.pathname.split('/');
    if (state.refuse) return error(...state.refuse);
    if (part === undefined) return [200, { time: Date.now(), version: state.version, complete: true, stale: false, age_ms: 0, pending: state.changes.filter((c) => c.state === 'proposed').length, problems: [], rules: state.rules }];
    if (part === 'dryrun') {
      const list = (n) => ({ total: n, devices: Math.min(n, 9), active: 0, alarms: [] });
      if (/limit: warm/.test(b.yaml ?? '')) return [200, { time: 1, dry_run: { rule: b.rule, problems: [{ line: 4, field: 'rules[0].limit', message: '"warm": want a number' }] } }];
      return [200, { time: 1, dry_run: { rule: b.rule, text: b.yaml ?? '', before: list(253), after: list(14), readings: 4_100_000, devices: 3000, from: Date.now() - 24 * HOUR, to: Date.now() } }];
    }
    if (id && method === 'POST') return decide(state.changes.find((c) => c.id === id), verb, b);
    if (method === 'POST') return propose(b);
    const { rule, state: wanted, limit = 50 } = Object.fromEntries(url.searchParams);
    const found = state.changes.filter((c) => (!rule || c.rule === rule) && (!wanted || c.state === wanted));
    return [200, { time: Date.now(), total: found.length, changes: found.slice(0, Number(limit)) }];
  }

  /** series is a day of a device: a wave. */
  function series() {
    const to = Date.now();
    const time = Array.from({ length: 600 }, (_, i) => to - (600 - i) * 144_000);
    const mean = time.map((_, i) => Math.round((60 + 14 * Math.sin(i / 60) + 2 * Math.sin(i / 7)) * 10) / 10);
    return [200, { step_ms: 144_000, begins: to - 30 * 24 * HOUR, time, values: { temperature: { mean, min: mean.map((v) => v - 1), max: mean.map((v) => v + 1) } } }];
  }

  fresh();
  const portal = await standIn(async (url, req) => {
    if (/^\/api\/v1\/devices\/[^/]+\/series$/.test(url.pathname)) return series();
    if (url.pathname.startsWith('/api/v1/journal')) {
      state.requests.push([req.method, `${url.pathname}${url.search}`, '']);
      return [200, { time: Date.now(), total: 0, count: 0, more: false, complete: true, items: [] }];
    }
    if (!/^\/api\/v1\/rules(\/|$)/.test(url.pathname)) return null;
    let text = '';
    for await (const part of req) text += part;
    const body = text && JSON.parse(text);
    state.requests.push([req.method, url.pathname, body]);
    return answer(req.method, url, body || {});
  });
  return { ...portal, state, fresh };
}
