// The plant's own programs: processes, and the stages' last hour. The sources are
// /api/v1/processes and /api/v1/pipeline.

/** groupProcesses puts programs together that share a process: [{programs: [...], ...first}]. */
export function groupProcesses(items) {
  const groups = new Map();
  for (const p of items) {
    const key = `${p.host}\n${p.pid}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(p);
  }
  return [...groups.values()].map((programs) => ({ ...programs[0], restarts: Math.max(...programs.map((p) => p.restarts)), programs }));
}

/** programNames names the programs of a process: "edge gw-a, gw-b · core host:9103". */
export function programNames(programs) {
  const by = new Map();
  for (const p of programs) {
    if (!by.has(p.program)) by.set(p.program, []);
    by.get(p.program).push(p.instance);
  }
  return [...by].map(([program, instances]) => `${program} ${instances.join(', ')}`).join(' · ');
}

/**
 * extend puts a later part of the stages' courses behind what was there; steps that both have
 * are those of the later one. The answer covers the same time as before.
 */
export function extend(before, next) {
  if (!before || before.step_ms !== next.step_ms || next.from > before.from + before.stages[0].course.rate.length * before.step_ms || next.from < before.from) return next;
  const keep = (next.from - before.from) / next.step_ms;
  const length = before.stages[0].course.rate.length;
  const join = (s, was) => ({
    ...s,
    course: Object.fromEntries(Object.entries(s.course).map(([name, more]) => [name, [...(was?.course[name].slice(0, keep) ?? Array(keep).fill(null)), ...more].slice(-length)])),
  });
  const stages = next.stages.map((s, i) => join(s, before.stages[i]));
  const strips = (next.strips ?? []).map((s) => join(s, before.strips?.find((b) => b.kind === s.kind && b.number === s.number)));
  const total = keep + next.stages[0].course.rate.length;
  return { ...next, from: before.from + Math.max(total - length, 0) * next.step_ms, stages, strips };
}

/** at returns the figures of a stage at a step, the newest ones without a step. */
export function figuresAt(stage, step) {
  if (step === null) return { rate: stage.rate, ms: stage.ms, p99: stage.p99_ms, lag: stage.lag };
  return { rate: stage.course.rate[step] ?? null, ms: stage.course.ms[step] ?? null, p99: null, lag: stage.course.lag[step] ?? null };
}

/** Steps of shading: 0 is nothing that waits, each further one holds what is up to a share of the top by its logarithm. */
export const SHADES = 5;

/** shade is the step of shading of a backlog, null if it is unknown. */
export function shade(lag, top) {
  if (lag === null || lag === undefined) return null;
  if (lag <= 0) return 0;
  return Math.min(Math.max(Math.ceil((SHADES * Math.log1p(lag)) / Math.log1p(Math.max(top, 1))), 1), SHADES);
}

/** Below this a backlog is no reason for a dark strip: lags of a healthy plant are of this size. */
const CALM = 1000;

/** topOf is the backlog that gets the darkest shade, for all strips of a kind. */
export const topOf = (strips, kind) => Math.max(CALM, ...strips.filter((s) => s.kind === kind).flatMap((s) => s.course.lag.filter((v) => v !== null)));

/** worstOf is the highest backlog of a strip: {lag, step}, null if none is known. */
export function worstOf(strip) {
  let worst = null;
  strip.course.lag.forEach((lag, step) => {
    if (lag !== null && (worst === null || lag > worst.lag)) worst = { lag, step };
  });
  return worst;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** visible returns the character of n bytes if it is one that can be seen, '' otherwise. */
function visible(bytes) {
  try {
    const c = strict.decode(bytes);
    return c === '\n' || !/[\p{C}\p{Zl}\p{Zp}]/u.test(c) ? c : '';
  } catch {
    return ''; // not UTF-8
  }
}

/** escaped shows bytes as text: what is no visible character of UTF-8 is \xNN. */
export function escaped(bytes) {
  let out = '';
  for (let i = 0; i < bytes.length; ) {
    const b = bytes[i];
    const n = b < 0xc0 ? 1 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
    const c = visible(bytes.subarray(i, i + n));
    out += c || `\\x${b.toString(16).padStart(2, '0')}`;
    i += c ? n : 1;
  }
  return out;
}

/** bytesOf decodes base64. */
export const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/** A process whose memory grows by more than this in an hour, of what it has, is worth a mark. */
const GROWS = 0.25;

/** grows tells whether a process's memory grows so fast that it is worth a mark. */
export const grows = (p) => p.memory_per_minute !== null && p.memory_per_minute * 60 > GROWS * p.memory_bytes;
