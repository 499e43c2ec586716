import { expect, it } from 'vitest';
import { parseMetrics, total } from './server-metrics.ts';

const TEXT = `# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 412
go_memstats_heap_alloc_bytes 1.2345678e+08
apiserver_request_total{code="200",resource="pods",verb="WATCH"} 7
apiserver_request_total{code="429",resource="pods",verb="LIST"} 3
odd{text="a \\"quoted\\" , word}",other="x"} 1 1700000000000
`;

it('reads samples with and without labels, in any notation, with or without a time', () => {
  expect(parseMetrics(TEXT)).toStrictEqual([
    { name: 'go_goroutines', labels: {}, value: 412 },
    { name: 'go_memstats_heap_alloc_bytes', labels: {}, value: 123_456_780 },
    { name: 'apiserver_request_total', labels: { code: '200', resource: 'pods', verb: 'WATCH' }, value: 7 },
    { name: 'apiserver_request_total', labels: { code: '429', resource: 'pods', verb: 'LIST' }, value: 3 },
    { name: 'odd', labels: { text: 'a \\"quoted\\" , word}', other: 'x' }, value: 1 },
  ]);
});

it('adds up the samples whose labels are as asked', () => {
  const samples = parseMetrics(TEXT);

  expect(total(samples, 'apiserver_request_total')).toBe(10);
  expect(total(samples, 'apiserver_request_total', { code: '429' })).toBe(3);
  expect(total(samples, 'apiserver_request_total', { code: '429', verb: 'WATCH' })).toBe(0);
});
