import type { Step } from './run-steps.ts';

/** Checks that read the tree and run nothing of it. */
export const STATIC_STEPS: readonly Step[] = [
  { name: 'format', argv: ['biome', 'format', '--error-on-warnings', '.'] },
  { name: 'lint', argv: ['oxlint', '--type-aware', '--deny-warnings', '.'] },
  { name: 'types', argv: ['tsc', '-p', '.'] },
  { name: 'dead code', argv: ['knip', '--no-progress'] },
  {
    name: 'import rules',
    argv: ['depcruise', '--config', '.dependency-cruiser.cjs', 'src', 'lab', 'image', 'scripts'],
  },
];
