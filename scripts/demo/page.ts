import * as v from 'valibot';
import { poll } from '../../lab/poll.ts';
import { claim, note, output, prompt, table, title, watched } from '../presentation.ts';
import { kubectl } from './kubectl.ts';
import { NAMES } from './pods.ts';

const { namespace } = NAMES;
const URL = 'http://productpage:9080/productpage';
const REQUESTS = 30;
const TIMEOUT_MS = '10000';

/** Fetches the product page from inside a mesh pod, and shows by Envoy's own counters that the requests went through the proxies. */
export async function showPage(): Promise<void> {
  title('The product page, asked for by another pod of the mesh');
  await watched('every proxy learns of the services', untilWhole());
  const before = await countAll();
  prompt(`kubectl exec -n ${namespace} deploy/ratings-v1 -c ratings -- /bookinfo fetch ${URL}   # ${REQUESTS} times`);
  const pages = await fetchPages(REQUESTS);
  const after = await countAll();
  const [first] = pages;
  if (first === undefined) throw new Error('the client printed no result');
  output(`${first.status}  server: ${header(first, 'Server')}\n${textOf(first.body)}`);
  claim(
    'each page has title, details and reviews',
    pages.every(isWhole),
    describe(pages.find((page) => !isWhole(page))),
  );
  const versions = ['v1', 'v2', 'v3'].map((version) => ({
    version,
    pages: pages.filter(({ body }) => body.includes(`(${version})`)),
  }));
  claim(
    `all versions of reviews answered: ${versions.map((one) => `${one.version} ${one.pages.length}`).join(', ')}`,
    versions.every((one) => one.pages.length > 0),
    versions.map((one) => `${one.version}: ${one.pages.length}`).join(', '),
  );
  claim(
    'v2 and v3 show stars, which come from ratings',
    versions.every((one) => one.version === 'v1' || one.pages.every(({ body }) => body.includes('★'))),
    'a page of v2 or v3 without stars',
  );
  claim('each answer names Envoy as its server', pages.every(byEnvoy), describe(pages.find((page) => !byEnvoy(page))));
  showCounters(before, after);
}

const RESULT = v.object({
  status: v.number(),
  headers: v.optional(v.record(v.string(), v.array(v.string())), {}),
  body: v.optional(v.string(), ''),
  error: v.optional(v.string(), ''),
});
type Page = v.InferOutput<typeof RESULT>;

async function fetchPages(count: number): Promise<readonly Page[]> {
  const client = ['exec', '-n', namespace, 'deploy/ratings-v1', '-c', 'ratings', '--', '/bookinfo'];
  const urls = Array.from({ length: count }, () => URL);
  return v.parse(v.array(RESULT), JSON.parse(await kubectl([...client, 'fetch', '--timeout-ms', TIMEOUT_MS, ...urls])));
}

/** A proxy that has only just started may not know every endpoint yet; the page then says what is missing. */
async function untilWhole(): Promise<void> {
  await poll(async () => (await fetchPages(3)).every(isWhole), {
    what: `${URL} shows every part`,
    timeoutMs: 60_000,
    intervalMs: 500,
  });
}

function isWhole({ status, body }: Page): boolean {
  const parts = ['<h1>The Comedy of Errors</h1>', 'ISBN-10', 'Reviews served by'];
  return status === 200 && parts.every((part) => body.includes(part)) && !body.includes('class="error"');
}

function byEnvoy(page: Page): boolean {
  return header(page, 'Server') === 'envoy' && header(page, 'X-Envoy-Upstream-Service-Time') !== '';
}

function header({ headers }: Page, name: string): string {
  return headers[name]?.[0] ?? '';
}

function describe(page: Page | undefined): string {
  if (page === undefined) return '';
  return `${page.status} ${page.error}, headers ${JSON.stringify(page.headers)}\n${page.body}`;
}

/** The words of the page, a line each. */
function textOf(html: string): string {
  const words = html
    .replace(/<head>.*?<\/head>/s, '')
    .replace(/<\/(dd|h1|h2|blockquote|p)>/g, '\n')
    .replace(/<footer>/g, '  ')
    .replace(/<dt>/g, '  ')
    .replace(/<\/dt>/g, ': ')
    .replace(/<[^>]+>/g, '');
  return words
    .split('\n')
    .filter((line) => line.trim() !== '')
    .join('\n');
}

/** What one proxy counted of one of its clusters. */
interface Counter {
  readonly workload: string;
  readonly what: string;
  readonly cluster: string;
  readonly least: number;
}

const COUNTERS: readonly Counter[] = [
  { workload: 'ratings-v1', what: 'out, to productpage', cluster: outbound('productpage'), least: REQUESTS },
  { workload: 'productpage-v1', what: 'in', cluster: 'inbound|9080||', least: REQUESTS },
  { workload: 'productpage-v1', what: 'out, to details', cluster: outbound('details'), least: REQUESTS },
  { workload: 'productpage-v1', what: 'out, to reviews', cluster: outbound('reviews'), least: REQUESTS },
  { workload: 'details-v1', what: 'in', cluster: 'inbound|9080||', least: REQUESTS },
  { workload: 'reviews-v2', what: 'out, to ratings', cluster: outbound('ratings'), least: 1 },
  { workload: 'ratings-v1', what: 'in', cluster: 'inbound|9080||', least: 1 },
];

function outbound(service: string): string {
  return `outbound|9080||${service}.${namespace}.svc.cluster.local`;
}

async function countAll(): Promise<readonly number[]> {
  const workloads = [...new Set(COUNTERS.map(({ workload }) => workload))];
  const texts = new Map(await Promise.all(workloads.map(async (name) => [name, await clustersOf(name)] as const)));
  return COUNTERS.map(({ workload, cluster }) => requestsOf(texts.get(workload) ?? '', cluster));
}

/** Envoy's admin page of clusters, through Istio's own agent in the sidecar. */
function clustersOf(workload: string): Promise<string> {
  const agent = ['-c', 'istio-proxy', '--', 'pilot-agent', 'request', 'GET', 'clusters'];
  return kubectl(['exec', '-n', namespace, `deploy/${workload}`, ...agent]);
}

/** Requests of one cluster out of Envoy’s page: lines `CLUSTER::ADDRESS:PORT::rq_total::NUMBER`, one for each endpoint. */
export function requestsOf(clusters: string, cluster: string): number {
  return clusters
    .split('\n')
    .filter((line) => line.startsWith(`${cluster}::`))
    .map((line) => Number(/::rq_total::(\d+)$/.exec(line)?.[1] ?? 0))
    .reduce((sum, count) => sum + count, 0);
}

function showCounters(before: readonly number[], after: readonly number[]): void {
  note('What the proxies counted meanwhile (pilot-agent request GET clusters, rq_total):');
  const rows = COUNTERS.map(({ workload, what, cluster, least }, index) => {
    const requests = (after[index] ?? 0) - (before[index] ?? 0);
    return { requests, least, cells: [workload, what, cluster, String(requests)] };
  });
  table([['Envoy of', 'direction', 'cluster', 'requests'], ...rows.map(({ cells }) => cells)]);
  const wrong = rows.find(({ requests, least }) => requests < least);
  claim('every request passed the proxies on both sides', wrong === undefined, wrong?.cells.join(' ') ?? '');
}
