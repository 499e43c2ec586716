import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createLab, type NetnsLab, POD_V4, POD_V6, SERVICE } from './netns-lab.ts';
import { ECHO_PORT, type LoadReport, type LoadTask, type Target } from './netns-load.ts';

/** A pod whose application connects to the outside, and the outside to it, without pause, with a proxy that says that it was reached. */
export interface LoadScene {
  readonly lab: NetnsLab;
  /** Starts the traffic; before that, rules must stand. */
  start(): Promise<RunningLoad>;
  close(): void;
}

export interface RunningLoad {
  /** Connects so far, in both directions. */
  count(): Promise<number>;
  /** Resolves once so many connects of the application have ended, one way or the other. */
  reached(count: number): Promise<void>;
  stop(): Promise<LoadCount>;
}

export interface LoadCount {
  /** Connects that somebody answered, in both directions. */
  readonly connects: number;
  /** Answered by the outside, or by the application itself, past the proxy. */
  readonly escaped: number;
  /** SYNs for a captured destination that the outside saw, answered or not. */
  readonly leaked: number;
  /** Ended with this error code, or without an answer. */
  readonly failed: Readonly<Record<string, number>>;
  /** Lost at least one packet: took longer than a retransmission. */
  readonly stalled: number;
  readonly slowestMs: number;
  readonly held: LoadReport['held'];
}

const PROXY = 1337;
const [OUTSIDE_PORT, APP_PORT] = [80, 8_080];
const HELD_EACH = 4;

export async function createLoadScene(): Promise<LoadScene> {
  const lab = createLab();
  const children: ChildProcess[] = [];
  const start = async (netns: string, id: number, task: LoadTask): Promise<ChildProcess> => {
    const child = await startChild(netns, id, task);
    children.push(child);
    return child;
  };
  prepare(lab);
  await Promise.all([
    start(lab.pod.name, PROXY, { role: 'serve', label: 'proxy', ports: [15_001, 15_006] }),
    start(lab.pod.name, 1_000, { role: 'serve', label: 'app', ports: [APP_PORT, ECHO_PORT] }),
    start(lab.outside.name, 0, { role: 'serve', label: 'outside', ports: [OUTSIDE_PORT, ECHO_PORT] }),
  ]);
  return {
    lab,
    start: async () => {
      const before = leaked(lab);
      const [app, outside] = await Promise.all([
        start(lab.pod.name, 1_000, loadOn([SERVICE[4], SERVICE[6]], OUTSIDE_PORT)),
        start(lab.outside.name, 0, loadOn([POD_V4, POD_V6], APP_PORT)),
      ]);
      return {
        count: async () => {
          const [sent, received] = await Promise.all([ask<number>(app, 'count'), ask<number>(outside, 'count')]);
          return sent + received;
        },
        reached: async (count) => {
          while ((await ask<number>(app, 'count')) < count);
        },
        stop: async () => {
          const reports = await Promise.all([ask<LoadReport>(app, 'stop'), ask<LoadReport>(outside, 'stop')]);
          for (const child of [app, outside]) child.kill('SIGKILL');
          return summed(reports, leaked(lab) - before);
        },
      };
    },
    close: () => {
      for (const child of children) child.kill('SIGKILL');
      lab.close();
    },
  };
}

function loadOn(addresses: readonly string[], port: number): LoadTask {
  const targets = addresses.map((address): Target => [address, port]);
  const held = addresses.flatMap((address) => Array.from({ length: HELD_EACH }, (): Target => [address, ECHO_PORT]));
  return { role: 'load', targets, held };
}

/** Finished connections are forgotten at once, or conntrack's table would be full; what arrives outside for a captured port is counted. */
function prepare(lab: NetnsLab): void {
  // Conntrack's settings are there once something in the netns uses it.
  lab.pod.nft('table inet warm {\n chain in {\n type filter hook prerouting priority 0\n ct state new accept\n }\n}\n');
  for (const state of ['time_wait', 'close', 'fin_wait', 'last_ack', 'close_wait']) {
    lab.pod.run('sysctl', '-qw', `net.netfilter.nf_conntrack_tcp_timeout_${state}=1`);
  }
  lab.outside.nft(
    `table inet witness {\n counter leaked { }\n chain in {\n type filter hook prerouting priority -300\n iifname eth0 tcp dport { ${OUTSIDE_PORT}, ${ECHO_PORT} } tcp flags & (syn|ack) == syn counter name leaked\n }\n}\n`,
  );
}

function leaked(lab: NetnsLab): number {
  return Number(/packets (\d+)/.exec(lab.outside.run('nft', 'list', 'counter', 'inet', 'witness', 'leaked'))?.[1]);
}

function summed(reports: readonly LoadReport[], leakedPackets: number): LoadCount {
  const failed: Record<string, number> = {};
  let [connects, escaped] = [0, 0];
  for (const [answer, count] of reports.flatMap((report) => Object.entries(report.connects))) {
    if (answer === 'proxy') connects += count;
    else if (answer === 'app' || answer === 'outside') escaped += count;
    else failed[answer] = (failed[answer] ?? 0) + count;
  }
  const sum = (of: (report: LoadReport) => number) => reports.reduce((total, report) => total + of(report), 0);
  const most = (of: (report: LoadReport) => number) => Math.max(...reports.map(of));
  return {
    connects: connects + escaped,
    escaped,
    leaked: leakedPackets,
    failed,
    stalled: sum(({ stalledConnects }) => stalledConnects),
    slowestMs: most(({ slowestConnectMs }) => slowestConnectMs),
    held: {
      opened: sum(({ held }) => held.opened),
      lost: sum(({ held }) => held.lost),
      roundTrips: sum(({ held }) => held.roundTrips),
      slowestMs: most(({ held }) => held.slowestMs),
    },
  };
}

async function startChild(netns: string, id: number, task: LoadTask): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./netns-load.ts', import.meta.url));
  const argv = ['netns', 'exec', netns, process.execPath, script, String(id), String(id), JSON.stringify(task)];
  const child = spawn('ip', argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await once(child, 'message');
  return child;
}

async function ask<T>(child: ChildProcess, what: string): Promise<T> {
  const answered = once(child, 'message');
  child.send(what);
  const [reply]: T[] = await answered;
  if (reply === undefined) throw new Error(`no answer to ${what}`);
  return reply;
}
