const startedMs = performance.now();

/** One line for people, with the time since the program began. */
export function say(text: string): void {
  process.stdout.write(`[${seconds(performance.now() - startedMs).padStart(6)}] ${text}\n`);
}

/** Runs one step and says how long it took. `detail`, if given, is asked every few seconds while the step runs. */
export async function step<T>(name: string, work: () => Promise<T>, detail: () => string = () => ''): Promise<T> {
  const beganMs = performance.now();
  const timer = setInterval(
    () => say(`${name} … ${seconds(performance.now() - beganMs)} ${detail()}`.trimEnd()),
    5_000,
  );
  try {
    const result = await work();
    say(`${name}: ${seconds(performance.now() - beganMs)}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
