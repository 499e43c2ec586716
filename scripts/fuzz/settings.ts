import { GID_ANNOTATION, UID_ANNOTATION } from '../../src/capture/identity.ts';
import { ARGUMENTS } from '../../src/capture/istio-flags.ts';
import { ANNOTATIONS } from '../../src/capture/resolve.ts';
import { VARIABLES, variableOf } from '../../src/capture/variables.ts';

/** Where a pod's settings stand. */
export type Place = 'annotation' | 'argument' | 'carrierVariable' | 'proxyVariable';

/** One key of a pod that can hold a value, with values that are right there. */
export interface Setting {
  readonly place: Place;
  readonly key: string;
  readonly valid: readonly [string, ...string[]];
}

type Values = readonly [string, ...string[]];

const PORT: Values = ['15001', '80', '65535', '1'];
const PORTS: Values = ['', '80', '80,443', ' 80 , 443 ,80', '15020,15021,15090', '1,65535'];
const PORT_SELECTION: Values = ['*', ...PORTS];
const RANGES: Values = [
  '',
  '10.0.0.0/8',
  '192.0.2.0/24,2001:db8::/32',
  '::/0',
  '0.0.0.0/0',
  '127.0.0.0/8',
  '10.1.2.3/8',
];
const RANGE_SELECTION: Values = ['*', ...RANGES];
const INTERFACES: Values = ['', 'eth0', 'eth0,net-1.2', 'br_0', 'a'.repeat(15)];
const IDS: Values = ['1337', '0', '1,2,3', '4294967294'];
const GROUPS: Values = ['7', '0,7,4294967294', '1, 2'];
const SWITCH: Values = ['true', 'false', '1', '0', 'T', 'F'];
const MODE: Values = ['REDIRECT', 'TPROXY', 'NONE'];
const LOOPBACK: Values = ['127.0.0.1/32', '127.0.0.0/8', '127.1.2.3/16'];
const MARK: Values = ['1337', '1', '4294967295'];
const TABLE: Values = ['133', '252', '256', '4294967295'];

const ANNOTATION_VALUES: Readonly<Record<keyof typeof ANNOTATIONS, Values>> = {
  outboundPort: PORT,
  inboundPort: PORT,
  mode: MODE,
  inboundPorts: PORT_SELECTION,
  excludeInboundPorts: PORTS,
  outboundPorts: PORTS,
  excludeOutboundPorts: PORTS,
  outboundRanges: RANGE_SELECTION,
  excludeOutboundRanges: RANGES,
  excludeInterfaces: INTERFACES,
  rerouteInterfaces: INTERFACES,
  rerouteInterfacesOld: INTERFACES,
  statusPort: ['15020', '0'],
};

const ARGUMENT_VALUES: Readonly<Record<keyof typeof ARGUMENTS, Values>> = {
  ...ANNOTATION_VALUES,
  tunnelPort: PORT,
  proxyUid: IDS,
  proxyGid: IDS,
  redirectDns: SWITCH,
  captureAllDns: SWITCH,
  dropInvalid: SWITCH,
  dualStack: SWITCH,
  tproxyMark: MARK,
  tproxyRouteTable: TABLE,
};

const VARIABLE_VALUES: Readonly<Record<keyof typeof VARIABLES, Values>> = {
  dnsCapture: SWITCH,
  dropInvalid: SWITCH,
  dualStack: SWITCH,
  ownerGroups: ['*', ...GROUPS],
  excludeOwnerGroups: GROUPS,
  loopbackRange: LOOPBACK,
  interceptionMode: ANNOTATION_VALUES.mode,
};

/** Every key that capture reads of a pod. A key that is not here is one nobody has tried. */
export const SETTINGS: readonly [Setting, ...Setting[]] = [
  { place: 'annotation', key: UID_ANNOTATION, valid: IDS },
  { place: 'annotation', key: GID_ANNOTATION, valid: IDS },
  // A name every object has: an annotation like any other.
  { place: 'annotation', key: '__proto__', valid: ['x'] },
  ...keysOf(ANNOTATIONS).map((name): Setting => {
    return { place: 'annotation', key: ANNOTATIONS[name], valid: ANNOTATION_VALUES[name] };
  }),
  ...keysOf(ARGUMENTS).flatMap((name): readonly Setting[] => {
    const variable = variableOf(ARGUMENTS[name]);
    const valid = ARGUMENT_VALUES[name];
    const argument: Setting = { place: 'argument', key: ARGUMENTS[name], valid };
    return variable === undefined ? [argument] : [argument, { place: 'carrierVariable', key: variable, valid }];
  }),
  ...keysOf(VARIABLES).flatMap((name): readonly Setting[] =>
    (['carrierVariable', 'proxyVariable'] as const).map((place) => {
      return { place, key: VARIABLES[name], valid: VARIABLE_VALUES[name] };
    }),
  ),
];

function keysOf<T extends object>(table: T): readonly (keyof T & string)[] {
  const own = (key: string): key is keyof T & string => key in table;
  return Object.keys(table).filter(own);
}
