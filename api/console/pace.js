// Keeping work to a pace, whatever the pace of the events that ask for it.

/**
 * A function that runs `work` (which may be asynchronous) at most once in `milliseconds` and never twice at a time.
 * Calls in between are answered by one run afterwards: the last change is always seen.
 */
export function atMostEvery(milliseconds, work) {
  let wanted = false;
  let busy = false;
  async function run() {
    if (busy || !wanted) return;
    busy = true;
    wanted = false;
    const began = performance.now();
    try {
      await work();
    } finally {
      setTimeout(() => {
        busy = false;
        run();
      }, Math.max(0, milliseconds - (performance.now() - began)));
    }
  }
  return () => {
    wanted = true;
    run();
  };
}
