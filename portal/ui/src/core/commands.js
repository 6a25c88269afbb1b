// Commands to alarms. The operator's name is asked for once and stored; sign-in will replace it.
import { ApiError, post } from './api.js';

const NAME = 'operator';

/** randomID names a command: 32 hex digits. */
function randomID() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}

/** createCommands sends commands to alarms. ask() prompts for the operator's name, '' for none. */
export function createCommands({ remembered, ask, store, sender = post, newID = randomID }) {
  const busy = new Map(); // alert id → action
  const failures = new Map(); // alert id → {code, said}

  async function name() {
    const known = (remembered.get(NAME) ?? '').trim();
    if (known) return known;
    const given = ((await ask()) ?? '').trim().slice(0, 40);
    if (given) remembered.set(NAME, given);
    return given;
  }

  /** give sends a command and retries once with the same id, so it is applied once. */
  async function give(alert, action, details = {}) {
    if (busy.has(alert.alert_id)) return;
    const by = await name();
    if (!by || busy.has(alert.alert_id)) return;
    const body = { by, command_id: newID(), ...details };
    const path = `/api/v1/alerts/${encodeURIComponent(alert.alert_id)}/${action}`;
    busy.set(alert.alert_id, action);
    failures.delete(alert.alert_id);
    store.touch();
    try {
      const answer = await sender(path, body).catch((err) => {
        if (err instanceof ApiError && err.status < 500) throw err;
        return sender(path, body);
      });
      if (answer.body.alert) store.takeAlert(answer.body.alert);
      if (answer.status === 202) failures.set(alert.alert_id, { code: 'pending', said: '' });
    } catch (err) {
      failures.set(alert.alert_id, err instanceof ApiError ? { code: err.code, said: err.said } : { code: 'network', said: '' });
    } finally {
      busy.delete(alert.alert_id);
      store.touch();
    }
  }

  return {
    give,
    busy: (id) => busy.get(id) ?? '',
    /** failure returns why the last command to an alarm failed. */
    failure: (id) => failures.get(id) ?? null,
    operator: () => remembered.get(NAME) ?? '',
  };
}
