import { type Inputs, PLAIN } from './inputs.ts';

/** Names of the settings that inputs use, one row of the table each. */
const SETTINGS: Readonly<Record<string, (inputs: Inputs) => boolean>> = {
  'mode REDIRECT': ({ mode }) => mode === 'REDIRECT',
  'mode TPROXY': ({ mode }) => mode === 'TPROXY',
  'TPROXY mark, route table': (inputs) =>
    inputs.mode === 'TPROXY' && (differs(inputs, 'tproxyMark') || differs(inputs, 'tproxyRouteTable')),
  'proxy and tunnel ports': (inputs) =>
    differs(inputs, 'outboundPort') || differs(inputs, 'inboundPort') || differs(inputs, 'tunnelPort'),
  'proxy uids, gids': (inputs) => differs(inputs, 'uids') || differs(inputs, 'gids'),
  'inbound ports listed': ({ inboundPorts }) => inboundPorts !== '*' && inboundPorts.length > 0,
  'no inbound ports': ({ inboundPorts }) => inboundPorts.length === 0,
  'excluded inbound ports': (inputs) => differs(inputs, 'excludeInboundPorts'),
  'included outbound ports': (inputs) => differs(inputs, 'outboundPorts'),
  'excluded outbound ports': (inputs) => differs(inputs, 'excludeOutboundPorts'),
  'outbound ranges listed': ({ outboundRanges }) => outboundRanges !== '*' && outboundRanges.length > 0,
  'no outbound ranges': ({ outboundRanges }) => outboundRanges.length === 0,
  'excluded outbound ranges': (inputs) => differs(inputs, 'excludeOutboundRanges'),
  'excluded interfaces': (inputs) => differs(inputs, 'excludeInterfaces'),
  'rerouted interfaces': (inputs) => differs(inputs, 'rerouteInterfaces'),
  'DNS, all servers': ({ dns }) => dns === 'all',
  "DNS, the pod's servers": ({ dns }) => dns === 'servers',
  'drop invalid': ({ dropInvalid }) => dropInvalid,
  'owner groups': ({ ownerGroups }) => ownerGroups !== '*',
  'excluded owner groups': ({ ownerGroups, excludeOwnerGroups }) =>
    ownerGroups === '*' && excludeOwnerGroups.length > 0,
  'loopback range': (inputs) => differs(inputs, 'loopbackRange'),
  'dual stack': ({ dualStack }) => dualStack,
};

/** No setting, but what makes most of a difference. */
const PROXY_AWAY = 'proxy away';

export const SETTING_NAMES: readonly string[] = [...Object.keys(SETTINGS), PROXY_AWAY];

export function settingsOf(inputs: Inputs, { proxyAway }: { readonly proxyAway: boolean }): readonly string[] {
  return SETTING_NAMES.filter((name) => (name === PROXY_AWAY ? proxyAway : SETTINGS[name]?.(inputs) === true));
}

function differs(inputs: Inputs, name: keyof Inputs): boolean {
  return JSON.stringify(inputs[name]) !== JSON.stringify(PLAIN[name]);
}
