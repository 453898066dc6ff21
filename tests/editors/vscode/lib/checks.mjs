// Checks by name, counted.
const results = [];

/** So many failures are enough to see that something is broken; each waits for long. */
const ENOUGH = 3;

export async function check(name, body, onFailure = async () => {}) {
  if (results.filter(({ passed }) => !passed).length >= ENOUGH) {
    record({ name, passed: false, message: 'not tried after so many failures' });
    return;
  }
  try {
    await body();
    record({ name, passed: true });
  } catch (error) {
    record({ name, passed: false, message: String(error.stack ?? error) });
    await onFailure(name);
  }
}

export function record(result) {
  results.push(result);
  console.log(`${result.passed ? 'ok    ' : 'FAILED'} ${result.name}`);
  if (!result.passed) {
    console.log(result.message.replace(/^/gm, '         '));
  }
}

/** Print the counts; the exit status is 1 if anything failed. */
export function conclude() {
  const failed = results.filter(({ passed }) => !passed).length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  return failed === 0 && results.length > 0 ? 0 : 1;
}

export function must(isSo, message) {
  if (!isSo) {
    throw new Error(message);
  }
}

/** What is waited for takes a second at most on an idle machine; a busy one may be many times slower. */
export const PATIENCE_MS = 150_000;

/** Wait until `body` gives something true; that is returned. */
export async function until(what, body, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  for (;;) {
    const found = await body();
    if (found) {
      return found;
    }
    must(Date.now() < end, `waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
