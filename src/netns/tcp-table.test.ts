import { expect, it } from 'vitest';
import { peersIn } from './tcp-table.ts';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 8813 1 0000000000000000 100 0 0 10 0
   1: 0100007F:3A99 0A6433C6:9C40 01 00000000:00000000 00:00000000 00000000  1337        0 8814 1 0000000000000000 20 0 0 10 -1
   2: 0A6433C6:9C40 0100CB71:0009 01 00000000:00000000 00:00000000 00000000     0        0 8815 1 0000000000000000 20 0 0 10 -1
`;

it('finds the remote ports of all connections of a local port, but no listener', () => {
  expect(peersIn(TABLE, 15_001)).toEqual([40_000]);
  expect(peersIn(TABLE, 40_000)).toEqual([9]);
  expect(peersIn(TABLE, 15_002)).toEqual([]);
  expect(peersIn('', 15_001)).toEqual([]);
});
