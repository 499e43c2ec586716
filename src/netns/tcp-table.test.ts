import { expect, it } from 'vitest';
import { hasPair } from './tcp-table.ts';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 8813 1 0000000000000000 100 0 0 10 0
   1: 0100007F:3A99 0A6433C6:9C40 01 00000000:00000000 00:00000000 00000000  1337        0 8814 1 0000000000000000 20 0 0 10 -1
   2: 0A6433C6:9C40 0100CB71:0009 01 00000000:00000000 00:00000000 00000000     0        0 8815 1 0000000000000000 20 0 0 10 -1
`;

it('finds the other end of a connection by both ports', () => {
  expect(hasPair(TABLE, 15_001, 40_000)).toBe(true);
  expect(hasPair(TABLE, 15_001, 40_001)).toBe(false);
  expect(hasPair(TABLE, 15_002, 40_000)).toBe(false);
  expect(hasPair(TABLE, 40_000, 9)).toBe(true);
  expect(hasPair(TABLE, 15_001, 0)).toBe(false);
  expect(hasPair('', 15_001, 40_000)).toBe(false);
});
