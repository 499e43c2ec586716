import type { Pick } from './case.ts';
import type { Inputs } from './inputs.ts';
import { CLIENT, INTERFACES, isOwn, LINKS, routeTo } from './places.ts';
import * as pools from './pools.ts';
import type { Trial } from './trial.ts';

/** The packet that a pick comes to; undefined where there is no such packet. */
export function trialOf(inputs: Inputs, pick: Pick): Trial | undefined {
  return pick.inbound ? inbound(inputs, pick) : outbound(inputs, pick);
}

function outbound(inputs: Inputs, pick: Pick): Trial | undefined {
  const { family } = pick;
  const address = at(pools.outboundAddresses(inputs, family), pick.address);
  const to = { address, port: at(pick.udp ? pools.udpPorts(inputs) : pools.tcpPorts(inputs), pick.port) };
  const device = routeTo(family, address);
  if (device === undefined) return undefined;
  const mark = at(pools.marks(inputs), pick.mark);
  const marked = inputs.mode === 'TPROXY' && mark === inputs.tproxyMark;
  // With TPROXY, the mark leads every packet back into the pod: only the proxy sends such, and only to the application.
  if (marked && device !== 'lo') return undefined;
  const trial: Trial = {
    direction: 'outbound',
    family,
    protocol: pick.udp ? 'udp' : 'tcp',
    from: { address: undefined, port: 0 },
    to,
    interface: device,
    owner: at(pools.owners(inputs), pick.owner),
    mark,
    state: !pick.udp && pick.state === 'established' ? 'established' : 'new',
  };
  if (trial.state === 'established') return trial;
  return (
    (marked ? ofClient(inputs, trial, pick) : undefined) ?? ofQuery(inputs, trial, pick) ?? withSource(trial, pick)
  );
}

/**
 * The proxy hands a client's connection to the application, with the client's address; if TPROXY takes any, and the answer, which is
 * routed to eth0 at first, is not exempt from being brought back.
 */
function ofClient(
  { inboundPorts, excludeInterfaces, uids, gids }: Inputs,
  trial: Trial,
  pick: Pick,
): Trial | undefined {
  const { family, protocol, to } = trial;
  const isApplication = INTERFACES.some((name) => LINKS[name][family].pod === to.address);
  const isExempt = excludeInterfaces.includes('lo') || excludeInterfaces.includes('eth0');
  if (protocol === 'udp' || inboundPorts.length === 0 || !isApplication || isExempt) return undefined;
  const [[uid = 0], [gid = 0]] = [uids, gids];
  return { ...trial, from: { address: CLIENT[family], port: 0 }, owner: at([{ uid, gid }, ROOT], pick.owner) };
}

/** TPROXY takes capabilities: with it, the proxy runs as root, and only its gid is known to the rules. */
const ROOT = { uid: 0, gid: 0 } as const;

/** Application and proxy ask the same server from the same port: only conntrack's zones keep their queries apart. */
function ofQuery(inputs: Inputs, trial: Trial, pick: Pick): Trial | undefined {
  const { protocol, to, mark } = trial;
  if (protocol !== 'udp' || to.port !== 53 || mark !== 0 || pick.source % 2 === 0) return undefined;
  return {
    ...trial,
    from: { address: undefined, port: QUERY_PORT },
    owner: at(pools.owners(inputs).slice(0, 2), pick.owner),
  };
}

/** Below the ports that the kernel gives out. */
const QUERY_PORT = 30_053;

function withSource(trial: Trial, pick: Pick): Trial {
  if (trial.interface !== 'lo') return trial;
  return { ...trial, from: { address: at(pools.loopbackSources(trial.family), pick.source), port: 0 } };
}

function inbound(inputs: Inputs, pick: Pick): Trial | undefined {
  const { family } = pick;
  const name = at(['eth0', ...INTERFACES] as const, pick.interface);
  const invalid = !pick.udp && pick.state === 'invalid';
  const own = LINKS[name][family].pod;
  // A guest also speaks to the world, through the pod.
  const guests = pools
    .outboundAddresses(inputs, family)
    .filter((address) => !isOwn(family, address) && routeTo(family, address) === 'eth0');
  const addresses = name === 'virt0' && pick.state === 'new' ? [own, ...guests] : [own];
  const state = pick.udp ? 'new' : pick.state;
  const foreign = name === 'eth0' && !invalid ? at(pools.inboundSources(family), pick.source) : undefined;
  return {
    direction: 'inbound',
    family,
    protocol: pick.udp ? 'udp' : 'tcp',
    from: { address: foreign, port: 0 },
    to: {
      address: at(addresses, pick.address),
      port: at(pick.udp ? pools.udpPorts(inputs) : pools.tcpPorts(inputs), pick.port),
    },
    interface: name,
    owner: undefined,
    mark: 0,
    state,
  };
}

function at<T>(values: readonly T[], pick: number): T {
  const value = values[pick % values.length];
  if (value === undefined && values.length === 0) throw new Error('nothing to choose from');
  return value as T;
}
