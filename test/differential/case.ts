import fc from 'fast-check';
import type { Inputs } from './inputs.ts';
import { inputsArbitrary, sometimes } from './inputs-arbitrary.ts';
import type { Family } from './places.ts';
import type { Trial } from './trial.ts';

/** A pod and what is sent in it. */
export interface Case {
  readonly inputs: Inputs;
  readonly proxyAway: boolean;
  readonly picks: readonly Pick[];
}

/** Numbers that choose from the pools of the case's inputs, so that inputs and packets shrink apart from each other. */
export interface Pick {
  readonly inbound: boolean;
  readonly family: Family;
  readonly udp: boolean;
  readonly state: Trial['state'];
  readonly address: number;
  readonly port: number;
  readonly owner: number;
  readonly source: number;
  readonly mark: number;
  readonly interface: number;
}

/** Cases with so many packets on average. */
export function caseArbitrary(packets: number): fc.Arbitrary<Case> {
  return fc.record({
    inputs: inputsArbitrary,
    proxyAway: sometimes(1),
    picks: fc.noBias(fc.array(pickArbitrary, { minLength: 1, maxLength: 2 * packets, size: 'max' })),
  });
}

/** Without fast-check's bias for small numbers, which would always choose the plainest. */
const choice = fc.noBias(fc.nat(4095));

const pickArbitrary: fc.Arbitrary<Pick> = fc.record({
  inbound: sometimes(3),
  family: fc.constantFrom<Family>(4, 4, 6),
  udp: sometimes(3),
  state: fc.oneof(
    { arbitrary: fc.constant<Trial['state']>('new'), weight: 18 },
    { arbitrary: fc.constant<Trial['state']>('established'), weight: 1 },
    { arbitrary: fc.constant<Trial['state']>('invalid'), weight: 1 },
  ),
  address: choice,
  port: choice,
  owner: choice,
  source: choice,
  mark: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, { arbitrary: choice, weight: 1 }),
  interface: choice,
});
