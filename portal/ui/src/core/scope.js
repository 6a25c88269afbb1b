// What a part of the page holds on to while it is shown: drawing, topics, listeners. One
// call gives all of it back.

/**
 * createScopes returns scope(): an object whose draw, subscribe, listen and every belong to
 * one part of the page until its end() is called. Kinds are names of what changed; wake(kind)
 * makes those who draw it dirty.
 */
export function createScopes({ scheduler, channel }) {
  const interested = new Map(); // kind → set of dirty functions

  function wake(kind, urgent = false) {
    for (const dirty of interested.get(kind) ?? []) dirty(urgent);
  }

  function scope() {
    const ends = [];
    let over = false;
    return {
      /** draw calls f soon after something of the kinds changed, and once at first. */
      draw(f, kinds) {
        const dirty = scheduler.add(f);
        for (const kind of kinds) {
          if (!interested.has(kind)) interested.set(kind, new Set());
          interested.get(kind).add(dirty);
        }
        ends.push(() => {
          scheduler.remove(f);
          for (const kind of kinds) interested.get(kind).delete(dirty);
        });
        return dirty;
      },
      /** subscribe asks for a topic; returns a function that gives it back early. */
      subscribe(topic, handler) {
        const end = channel.subscribe(topic, handler);
        let done = false;
        const once = () => {
          if (!done) end();
          done = true;
        };
        ends.push(once);
        return once;
      },
      listen(target, type, f, options) {
        target.addEventListener(type, f, options);
        ends.push(() => target.removeEventListener(type, f, options));
      },
      /** every runs a job now and then, one at a time, not while the page is hidden. */
      every(ms, job) {
        let timer = 0;
        const again = async () => {
          if (!document.hidden) await job().catch(() => {}); // the job shows its own errors
          if (!over) timer = setTimeout(again, ms);
        };
        again();
        ends.push(() => clearTimeout(timer));
      },
      onEnd: (f) => ends.push(f),
      isOver: () => over,
      end() {
        over = true;
        for (const f of ends.splice(0)) f();
      },
    };
  }
  return { scope, wake };
}
