/** Does every task, at most `workers` at a time; the first failure ends all of them after their current task, and is thrown. */
export async function inParallel(
  tasks: readonly (() => Promise<void>)[],
  { workers, signal }: { readonly workers: number; readonly signal: AbortSignal },
): Promise<void> {
  const left = tasks.values();
  let failed = false;
  const work = async (): Promise<void> => {
    for (const task of left) {
      if (failed || signal.aborted) return;
      try {
        await task();
      } catch (error: unknown) {
        failed = true;
        throw error;
      }
    }
  };
  const all = await Promise.allSettled(Array.from({ length: workers }, work));
  for (const one of all) if (one.status === 'rejected') throw one.reason;
}
