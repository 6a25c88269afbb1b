// One command to many alarms: in parts that the portal takes, asked again while an outcome is unknown, and
// with a count of what became of each.

/** PART is how many alarms go in one request; the portal takes at most 1,000. */
export const PART = 250;
const LANES = 2; // parts under way at once
/** TRIES is how often the outcome of a part is asked for. */
const TRIES = 5;
const WAIT = 1000; // ms between two

/**
 * sendMany gives a command, {action, by, …}, to alarms and resolves with {done, nothing, refused, unknown}: how many it
 * was applied to, how many needed nothing, of how many the outcome is not known, and the refused ones by reason, [[reason, n], …].
 * post(body) sends; progress(n) is told how many have an outcome. Asked again, a part has the same command_id: it is applied once.
 */
export async function sendMany(command, alarms, { post, progress = () => {}, pause = (ms) => new Promise((done) => setTimeout(done, ms)), newID = () => crypto.randomUUID() }) {
  const sum = { done: 0, nothing: 0, unknown: 0 };
  const why = new Map();
  let settled = 0;

  async function part(from) {
    const ids = alarms.slice(from, from + PART).map((a) => a.alert_id);
    for (const r of await sendPart({ ...command, command_id: newID() }, ids, { post, pause }, from === 0)) {
      if (r.outcome === 'applied') sum.done++;
      else if (r.outcome === 'nothing_to_do') sum.nothing++;
      else if (r.outcome === 'pending') sum.unknown++;
      else why.set(r.reason ?? '', (why.get(r.reason ?? '') ?? 0) + 1);
    }
    settled += ids.length;
    progress(settled);
  }

  /** lane sends one part after another. */
  let next = PART;
  async function lane() {
    while (next < alarms.length) await part((next += PART) - PART);
  }
  if (alarms.length > 0) await part(0); // alone: a command that cannot be given fails before anything is done
  await Promise.all(Array.from({ length: LANES }, lane));
  return { ...sum, refused: [...why].sort((a, b) => b[1] - a[1]) };
}

/** sendPart resolves with one outcome for each id. Only when nothing has been done yet its failure is an error. */
async function sendPart(command, ids, { post, pause }, first) {
  const known = new Map();
  let left = ids;
  let failure = null;
  for (let n = 0; n < TRIES && left.length > 0; n++) {
    if (n > 0) await pause(WAIT * n);
    try {
      const answer = await post({ ...command, alert_ids: left });
      for (const r of answer.items) known.set(r.alert_id, r);
      failure = null;
    } catch (e) {
      if (!isPassing(e)) {
        if (first && known.size === 0) throw e;
        failure = e;
        break;
      }
      failure = e;
    }
    left = left.filter((id) => !known.has(id) || known.get(id).outcome === 'pending' || known.get(id).outcome === 'failed');
  }
  if (failure && first && known.size === 0) throw failure;
  return ids.map((id) => known.get(id) ?? { alert_id: id, outcome: 'failed', reason: failure?.message ?? '' });
}

/** isPassing reports errors after which the same may be sent again. */
const isPassing = (e) => e.status === undefined || e.status === 429 || e.status >= 500;
