import { spawn } from 'node:child_process';

/** Programs that only burn processor time; returns what ends them. */
export function startHogs(howMany: number): () => void {
  const hogs = Array.from({ length: howMany }, () => spawn('yes', { stdio: 'ignore' }));
  return () => {
    for (const hog of hogs) hog.kill('SIGKILL');
  };
}
