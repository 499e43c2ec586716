import { expect, it } from 'vitest';
import { peersIn } from './tcp-table.ts';

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 8813 1 0000000000000000 100 0 0 10 0
   1: 0100007F:3A99 0A6433C6:9C40 01 00000000:00000000 00:00000000 00000000  1337        0 8814 1 0000000000000000 20 0 0 10 -1
   2: 0A6433C6:9C40 0100CB71:0009 01 00000000:00000000 00:00000000 00000000     0        0 8815 1 0000000000000000 20 0 0 10 -1
`;

it('finds the remote ports of all connections of a local port, but no listener', () => {
  expect(peersIn(TABLE, { address: '198.51.100.10', port: 40_000 })).toEqual([9]);
  expect(peersIn(TABLE, { address: '127.0.0.1', port: 15_002 })).toEqual([]);
  expect(peersIn('', { address: '127.0.0.1', port: 15_001 })).toEqual([]);
  expect(peersIn(TABLE, { address: '127.0.0.1', port: 15_001 })).toEqual([40_000]);
  expect(peersIn(TABLE, { address: '127.0.0.2', port: 15_001 })).toEqual([]);
});

it('knows an address of a socket of its own family, and as one on :: has it', () => {
  const table = `  sl  local_address                         remote_address                        st
   0: 0000000000000000FFFF00000600007F:0004 0000000000000000FFFF00000100007F:9C40 01 00000000:00000000
   1: 00000000000000000000000006000000:0004 00000000000000000000000001000000:9C41 01 00000000:00000000
`;
  expect(peersIn(table, { address: '127.0.0.6', port: 4 })).toEqual([40_000]);
  expect(peersIn(table, { address: '::6', port: 4 })).toEqual([40_001]);
});
