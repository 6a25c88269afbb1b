// Tones, and whose turn among several tabs it is to make them.

const LONGEST = 1000; // ms a browser may take to let a page sound

/**
 * createSpeaker plays tones. Browsers start it only once a person did something on the page: then it may sound, from
 * then on, and rests while it need not.
 */
export function createSpeaker() {
  let audio = null;
  let may = false;
  let ends = 0; // of the last tone
  const isRunning = () => audio?.state === 'running';
  return {
    isRunning,
    maySound: () => may,
    /** wake starts it if the browser lets it, and resolves either way. */
    async wake() {
      if (isRunning() || !('AudioContext' in globalThis)) return;
      audio ??= new AudioContext();
      await Promise.race([audio.resume().catch(() => {}), new Promise((done) => setTimeout(done, LONGEST))]);
      may ||= isRunning();
    },
    /** rest stops it once its tones are over. */
    rest() {
      if (isRunning() && audio.currentTime >= ends) audio.suspend().catch(() => {});
    },
    /** play plays tones [frequency, start, length] at a volume of 0 to 1. */
    play(tones, volume) {
      for (const [frequency, start, length] of tones) {
        const from = audio.currentTime + start;
        const tone = new OscillatorNode(audio, { type: 'triangle', frequency });
        const gain = new GainNode(audio, { gain: 0 });
        gain.gain.setValueAtTime(0, from); // without edges, which would click
        gain.gain.linearRampToValueAtTime(volume, from + 0.01);
        gain.gain.setValueAtTime(volume, from + length - 0.03);
        gain.gain.linearRampToValueAtTime(0, from + length);
        tone.connect(gain).connect(audio.destination);
        tone.start(from);
        tone.stop(from + length);
        ends = Math.max(ends, from + length);
      }
    },
  };
}

/**
 * createTurn finds one tab among those that want something. A lock of the browser ends with its tab. Without
 * locks, as on a page without https, a lease in localStorage does: it is renewed and runs out.
 */
export function createTurn(name, { locks = navigator.locks, storage = () => localStorage, now = Date.now } = {}) {
  const LEASE = 3000; // ms
  const me = Math.random().toString(36).slice(2);
  let wanted = false;
  let release = null;
  let asked = null; // the request for the lock

  function hold() {
    if (asked) return;
    asked = new AbortController();
    locks.request(name, { signal: asked.signal }, () => new Promise((done) => (release = done))).catch(() => {}).finally(() => (asked = release = null));
  }

  function renew() {
    try {
      const [owner, until] = (storage().getItem(name) ?? '').split(' ');
      if (owner !== me && Number(until) > now()) return false;
      storage().setItem(name, `${me} ${now() + LEASE}`);
      return owner === me; // it counts from the second look on: two tabs may have taken it at once
    } catch {
      return true; // nothing is shared with other tabs
    }
  }

  let mine = false;
  return {
    /** want says, again and again, whether this tab wants a turn. */
    want(yes) {
      wanted = yes;
      if (!locks) mine = yes && renew();
      else if (yes) hold();
      else if (release) release();
      else asked?.abort();
    },
    isMine: () => wanted && (locks ? release !== null : mine),
  };
}
