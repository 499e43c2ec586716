import { plainText } from './plain-text.ts';
import type { StatusRow } from './status-row.ts';

export interface TableOptions {
  readonly wide: boolean;
  /** With a column for the namespace. */
  readonly namespaces: boolean;
  readonly nowMs: number;
}

type Column = readonly [head: string, cell: (row: StatusRow, nowMs: number) => string];

const COLUMNS: readonly Column[] = [
  ['NAME', (row) => row.name],
  ['STATE', (row) => row.state],
  ['REASON', (row) => row.reason],
  ['POLICY', (row) => row.policy],
  ['SINCE', (row, nowMs) => ageText(row.sinceMs, nowMs)],
  ['AGE', (row, nowMs) => ageText(row.createdMs, nowMs)],
  ['NODE', (row) => row.node],
];
const WIDE: readonly Column[] = [
  ['HASH', ({ report }) => report.policyHash ?? ''],
  ['BACKEND', ({ report }) => report.backend ?? ''],
  ['UID', (row) => row.proxyUids.join(',')],
  ['TOOK', ({ report }) => (report.tookMs === undefined ? '' : `${Math.round(report.tookMs * 100) / 100}ms`)],
  // As crictl and ctr print it.
  ['SANDBOX', ({ report }) => report.sandbox?.slice(0, 13) ?? ''],
  ['MESSAGE', (row) => row.message],
];
const NAMESPACE: Column = ['NAMESPACE', (row) => row.namespace];

function columnsOf({ wide, namespaces }: TableOptions): readonly Column[] {
  return [...(namespaces ? [NAMESPACE] : []), ...COLUMNS, ...(wide ? WIDE : [])];
}

/** The line of headings. */
export function tableHead(options: TableOptions): readonly string[] {
  return columnsOf(options).map(([head]) => head);
}

/** The cells of one row; `<none>` where there is nothing to say, as in kubectl, for scripts that count columns. */
export function tableRow(row: StatusRow, options: TableOptions): readonly string[] {
  return columnsOf(options).map(([, cell]) => cell(row, options.nowMs) || '<none>');
}

/** By namespace, then name, as kubectl sorts. */
export function byName(a: StatusRow, b: StatusRow): number {
  return compare(a.namespace, b.namespace) || compare(a.name, b.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What `-o json` prints of a row; see docs/schema/status.json. */
export function rowAsJson(row: StatusRow): object {
  const { report, policy, message, proxyUids } = row;
  return {
    namespace: row.namespace,
    name: row.name,
    state: row.state,
    reason: row.reason,
    ...(message === '' ? {} : { message }),
    ...(policy === '' ? {} : { policy, proxyUids }),
    ...(row.node === '' ? {} : { node: row.node }),
    ...timeAsJson('createdAt', row.createdMs),
    ...timeAsJson('since', row.sinceMs),
    ...reportAsJson(report),
  };
}

function reportAsJson({ status, message, policyHash, sandbox, backend, atMs, tookMs }: StatusRow['report']): object {
  if (status === undefined) return {};
  return {
    report: {
      status: plainText(status),
      ...(message === '' ? {} : { message }),
      ...(policyHash === undefined ? {} : { policyHash }),
      ...(backend === undefined ? {} : { backend }),
      ...(sandbox === undefined ? {} : { sandbox }),
      ...timeAsJson('at', atMs),
      ...(tookMs === undefined ? {} : { tookMs }),
    },
  };
}

function timeAsJson(key: string, ms: number | undefined): object {
  const date = new Date(ms ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? {} : { [key]: date.toISOString() };
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** As kubectl prints ages: two units while the first is small. */
export function ageText(fromMs: number | undefined, nowMs: number): string {
  if (fromMs === undefined) return '';
  const seconds = Math.max(0, Math.floor((nowMs - fromMs) / 1000));
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  if (seconds < 10 * MINUTE) return pair(seconds, MINUTE, 'm', 1, 's');
  if (seconds < 3 * HOUR) return `${Math.floor(seconds / MINUTE)}m`;
  if (seconds < 8 * HOUR) return pair(seconds, HOUR, 'h', MINUTE, 'm');
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)}h`;
  if (seconds < 8 * DAY) return pair(seconds, DAY, 'd', HOUR, 'h');
  return `${Math.floor(seconds / DAY)}d`;
}

function pair(seconds: number, unit: number, name: string, smaller: number, smallerName: string): string {
  const rest = Math.floor((seconds % unit) / smaller);
  return `${Math.floor(seconds / unit)}${name}${rest === 0 ? '' : `${rest}${smallerName}`}`;
}
