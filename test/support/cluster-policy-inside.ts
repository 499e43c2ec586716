import { setAlias } from '../../src/netns/rtnetlink.ts';
import type { Attack } from './cluster-policy-attack.ts';
import { ATTACKED, BY_HAND, LENIENT } from './cluster-policy-stage.ts';
import { capturedState, OUR_TABLE, requireSandbox } from './cluster-host.ts';
import { getPod, stateOf } from './cluster-pods.ts';
import { GATE, textAt, tryKubectl } from './cluster.ts';

/** Where a process of the attacker's runs. The image is the product's: it has Node, koffi and nft. */
interface Foothold {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

const RESTRICTED: Foothold = { namespace: ATTACKED, pod: 'victim', container: 'attacker' };
const ROOT: Foothold = { namespace: LENIENT, pod: 'root', container: 'attacker' };
const OWN_USERS: Foothold = { namespace: LENIENT, pod: 'own-users', container: 'attacker' };
const NET_ADMIN: Foothold = { namespace: LENIENT, pod: 'own-users', container: 'net-admin' };
const IN_THE_GATE: Foothold = { namespace: BY_HAND, pod: 'waiting', container: GATE };

const FORGED = 'istio-pod-network-controller v1 ready 0123456789abcdef';
const NODE = ['/usr/local/bin/node', '-e'];

/** RTM_SETLINK over a socket of its own, as `ip link set lo alias` does it; prints what the kernel answers. */
const SET_ALIAS = `
const c = require('/app/node_modules/koffi').load(null);
const socket = c.func('int socket(int, int, int)');
const send = c.func('long send(int, const void *, unsigned long, int)');
const recv = c.func('long recv(int, _Out_ void *, unsigned long, int)');
const fd = socket(16, 3, 0);
const message = Buffer.from('${setAlias(FORGED).toString('hex')}', 'hex');
send(fd, message, message.length, 0);
const reply = Buffer.alloc(4096);
recv(fd, reply, reply.length, 0);
const error = -reply.readInt32LE(16);
const names = require('node:os').constants.errno;
console.log(error === 0 ? 'went through' : Object.keys(names).find((name) => names[name] === error));
`;
const WRITE_SYSFS = `
try {
  require('node:fs').writeFileSync('/sys/class/net/lo/ifalias', '${FORGED}');
  console.log('went through');
} catch (error) { console.log(error.code); }
`;
const DELETE_TABLE = ['/usr/sbin/nft', 'delete', 'table', 'inet', OUR_TABLE];
/** Node's debugger, which SIGUSR1 starts unless it is told not to: whoever may speak to it may end the gate with success. */
const END_THE_GATE = `
process.kill(1, 'SIGUSR1');
const evaluate = { id: 1, method: 'Runtime.evaluate', params: { expression: 'process.exit(0)' } };
setTimeout(async () => {
  try {
    const [target] = await (await fetch('http://127.0.0.1:9229/json')).json();
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    socket.onopen = () => socket.send(JSON.stringify(evaluate));
    console.log('went through');
    setTimeout(() => process.exit(), 500);
  } catch (error) { console.log(error.cause?.code ?? String(error)); }
}, 500);
`;

function inside(
  who: string,
  action: string,
  foothold: Foothold,
  argv: readonly string[],
  stoppedBy = 'kernel',
): Attack {
  return { attacker: who, action, stoppedBy, attempt: () => runIn(foothold, argv) };
}

/** By processes in the pods, with the privileges their containers have. */
export const INSIDE_ATTACKS: readonly Attack[] = [
  inside('application, restricted', 'write the mark (rtnetlink)', RESTRICTED, [...NODE, SET_ALIAS]),
  inside('application, restricted', 'write the mark (sysfs)', RESTRICTED, [...NODE, WRITE_SYSFS]),
  inside('application, restricted', 'delete the rules', RESTRICTED, DELETE_TABLE),
  inside('application as root', 'write the mark (rtnetlink)', ROOT, [...NODE, SET_ALIAS]),
  inside('application as root', 'write the mark (sysfs)', ROOT, [...NODE, WRITE_SYSFS]),
  inside('application as root', 'delete the rules', ROOT, DELETE_TABLE),
  inside('root of its own user namespace', 'write the mark (rtnetlink)', OWN_USERS, [...NODE, SET_ALIAS]),
  inside('root of its own user namespace', 'write the mark (sysfs)', OWN_USERS, [...NODE, WRITE_SYSFS]),
  inside('root of its own user namespace', 'delete the rules', OWN_USERS, DELETE_TABLE),
  inside('who may exec into the gate', 'write the mark (rtnetlink)', IN_THE_GATE, [...NODE, SET_ALIAS]),
  {
    ...inside(
      'who may exec into the gate',
      'end it by its debugger',
      IN_THE_GATE,
      [...NODE, END_THE_GATE],
      'no debugger',
    ),
  },
  inside('application with NET_ADMIN', 'write the mark (rtnetlink)', NET_ADMIN, [...NODE, SET_ALIAS], 'nothing'),
  inside('application with NET_ADMIN', 'delete the rules', NET_ADMIN, DELETE_TABLE, 'nothing'),
];

/** What the pods' kernel state is; the API's is the stage's. */
export async function stateInside(): Promise<string> {
  const states: unknown[] = [];
  for (const { namespace, pod } of [RESTRICTED, ROOT, OWN_USERS, IN_THE_GATE]) {
    const object = await getPod(namespace, pod);
    const { netnsPath } = await requireSandbox(textAt(object, 'metadata', 'uid'));
    states.push({ pod, gate: stateOf(object, GATE), kernel: await capturedState(netnsPath) });
  }
  return JSON.stringify(states, null, 1);
}

/** Empty if it went through. */
async function runIn({ namespace, pod, container }: Foothold, argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await tryKubectl(['exec', '-n', namespace, pod, '-c', container, '--', ...argv]);
  const said = `${stdout}\n${stderr}`.trim().split('\n')[0] ?? '';
  return said === 'went through' || (code === 0 && said === '') ? '' : said;
}
