import { cidrText } from './cidr.ts';
import type { Cidr, Selection } from './policy.ts';

export type SettingValue = number | string | Cidr | Selection<number> | Selection<Cidr> | readonly (number | Cidr)[];

/** A parsed value as a person would have written it: what an agent flag said, for `explain`. */
export function settingText(value: SettingValue): string {
  if (typeof value === 'number' || typeof value === 'string') return String(value);
  if ('all' in value) return value.all ? '*' : value.items.map(settingText).join(',');
  return 'prefix' in value ? cidrText(value) : value.map(settingText).join(',');
}
