import { argument, firstOf, type Inputs, istioDefault, unlessEmpty } from './inputs.ts';
import { ARGUMENTS } from './istio-flags.ts';
import { accepted, type Parsed, refused } from './parsed.ts';
import type { Problem, Sourced } from './policy.ts';

/** Istio's second mark (constants.OutboundMark), of what the proxy sends to its own pod; it comes back as inbound. No connection of the proxy may carry it. */
export const SELF_MARK = 1_338;
const UINT32_MAX = 4_294_967_295;
/** RT_TABLE_DEFAULT to RT_TABLE_LOCAL (linux/rtnetlink.h): the kernel's own, which every packet is routed by. */
const KERNEL_TABLES = [253, 254, 255];

export function tproxySettings(
  inputs: Inputs,
  problems: Problem[],
): { readonly tproxyMark: Sourced<number>; readonly tproxyRouteTable: Sourced<number> } {
  return {
    tproxyMark: firstOf(
      [unlessEmpty(argument(inputs, ARGUMENTS.tproxyMark))],
      parseMark,
      istioDefault(1_337),
      problems,
    ),
    tproxyRouteTable: firstOf(
      [unlessEmpty(argument(inputs, ARGUMENTS.tproxyRouteTable))],
      parseRouteTable,
      istioDefault(133),
      problems,
    ),
  };
}

/** Not 0, which is no mark. */
export function parseMark(raw: string): Parsed<number> {
  const mark = plainNumber(raw);
  return mark >= 1 && mark <= UINT32_MAX && mark !== SELF_MARK
    ? accepted(mark)
    : refused(`a number from 1 to ${UINT32_MAX} in plain decimal, other than ${SELF_MARK}`);
}

/** Not 0, which is no table, and none of the kernel's own: a local default route there would swallow all traffic. */
export function parseRouteTable(raw: string): Parsed<number> {
  const table = plainNumber(raw);
  return table >= 1 && table <= UINT32_MAX && !KERNEL_TABLES.includes(table)
    ? accepted(table)
    : refused(`a number from 1 to ${UINT32_MAX} in plain decimal, other than ${KERNEL_TABLES.join(', ')}`);
}

function plainNumber(raw: string): number {
  return /^[1-9][0-9]{0,9}$/.test(raw) ? Number(raw) : Number.NaN;
}
