import { describe } from 'vitest';
import { BACKEND_NAMES } from '../../src/backend/backend.ts';
import { trafficTable } from '../support/netns-traffic.ts';

/** The traffic of traffic.test.ts, under the rules of every other backend: one behaviour, whatever writes the rules. */
describe.each(BACKEND_NAMES.filter((name) => name !== 'nft'))('%s', (backend) => {
  trafficTable(backend);
});
