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

const NAMES = ['rate', 'ms', 'lag'];

/**
 * extend puts a later part of the stages' courses behind what was there; steps that both have
 * are those of the later one. The answer covers the same time as before.
 */
export function extend(before, next) {
  if (!before || before.step_ms !== next.step_ms || next.from > before.from + before.stages[0].course.rate.length * before.step_ms || next.from < before.from) return next;
  const keep = (next.from - before.from) / next.step_ms;
  const length = before.stages[0].course.rate.length;
  const stages = next.stages.map((s, i) => {
    const course = {};
    for (const name of NAMES) course[name] = [...before.stages[i].course[name].slice(0, keep), ...s.course[name]].slice(-length);
    return { ...s, course };
  });
  const total = keep + next.stages[0].course.rate.length;
  return { ...next, from: before.from + Math.max(total - length, 0) * next.step_ms, stages };
}

/** at returns the figures of a stage at a step, the newest ones without a step. */
export function figuresAt(stage, step) {
  if (step === null) return { rate: stage.rate, ms: stage.ms, p99: stage.p99_ms, lag: stage.lag };
  return { rate: stage.course.rate[step] ?? null, ms: stage.course.ms[step] ?? null, p99: null, lag: stage.course.lag[step] ?? null };
}

/** A process whose memory grows by more than this in an hour, of what it has, is worth a mark. */
const GROWS = 0.25;

/** grows tells whether a process's memory grows so fast that it is worth a mark. */
export const grows = (p) => p.memory_per_minute !== null && p.memory_per_minute * 60 > GROWS * p.memory_bytes;
