/** What containerd 2.3.4 (NRI 0.12) and a plugin said to each other, as it was on the wire. */
const text = (value: string) => Buffer.from(value).toString('hex');
const hex = (...parts: readonly string[]) => Buffer.from(parts.join(''), 'hex');

const PLUGIN = `0a1b${text('nri.pkg.api.v1alpha1.Plugin')}`;

export const RECORDED = {
  /** Of the plugin `10-meshnode`; without the recorded plugin's empty NRI version. */
  register: hex(
    '00000002000000480000003e000000010100',
    `0a1c${text('nri.pkg.api.v1alpha1.Runtime')}120e${text('RegisterPlugin')}`,
    `1a0e0a08${text('meshnode')}1202${text('10')}`,
  ),
  registered: hex('000000020000000a00000000000000010200'),
  configure: hex(
    '00000001000000640000005a000000010100',
    `${PLUGIN}1209${text('Configure')}1a2a`,
    `120a${text('containerd')}1a0d${text('2.3.4+unknown')}20882728d00f3207${text('v0.12.0')}`,
    '20b0dbbfb907',
  ),
  /** With the events of ours. */
  configured: hex('000000010000000e000000040000000102001202100f'),
  synchronize: hex('000000010000003a00000030000000030100', `${PLUGIN}120b${text('Synchronize')}20b5c8d2b907`),
  /** An empty payload may be left out. */
  synchronized: hex('000000010000000a00000000000000030200'),
  refused: hex('000000010000001c000000120000000702000a100809120c', text('no rules yet')),
} as const;
