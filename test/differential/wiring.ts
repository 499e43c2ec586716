import { spawnSync } from 'node:child_process';
import { LINKS } from './places.ts';

/** Links, addresses and routes of a world, over the pod and outside that createLab() made. Names are those of the netns. */
export function wire(names: { readonly pod: string; readonly outside: string; readonly guest: string }): void {
  const { net1, virt0, eth0 } = LINKS;
  ip(names.pod, [
    `link add net1 type veth peer name net1 netns ${names.outside}`,
    `link add virt0 type veth peer name eth0 netns ${names.guest}`,
    'link set net1 up',
    'link set virt0 up',
    `address add ${net1[4].pod}/26 dev net1`,
    `address add ${net1[6].pod}/64 dev net1 nodad`,
    `address add ${virt0[4].pod}/26 dev virt0`,
    `address add ${virt0[6].pod}/64 dev virt0 nodad`,
  ]);
  ip(names.outside, [
    'link set net1 up',
    `address add ${net1[4].peer}/26 dev net1`,
    `address add ${net1[6].peer}/64 dev net1 nodad`,
    // Every address is the outside's own, unless it is somebody else's.
    'route add local 0.0.0.0/0 dev lo table main',
    '-6 route add local ::/0 dev lo table main',
    `route add ${virt0[4].subnet} via ${eth0[4].pod}`,
  ]);
  ip(names.guest, [
    'link set eth0 up',
    `address add ${virt0[4].peer}/26 dev eth0`,
    `address add ${virt0[6].peer}/64 dev eth0 nodad`,
    `route add default via ${virt0[4].pod}`,
  ]);
  ip(names.guest, [`-6 route add default via ${virt0[6].pod} dev eth0`]);
  ip(names.outside, [`-6 route add ${virt0[6].subnet} via ${eth0[6].pod} dev eth0`]);
  // The guest speaks to the world through the pod.
  sysctl(names.pod, { 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 });
  // Sources on other interfaces than the route's are part of the test.
  for (const name of Object.values(names)) {
    sysctl(name, { 'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.default.rp_filter': 0 });
  }
  sysctl(names.pod, { 'net.ipv4.conf.eth0.rp_filter': 0, 'net.ipv4.conf.net1.rp_filter': 0 });
}

function ip(netns: string, commands: readonly string[]): void {
  for (const command of commands) run('ip', ['-netns', netns, ...command.split(' ')]);
}

function sysctl(netns: string, values: Readonly<Record<string, number>>): void {
  const settings = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  run('ip', ['netns', 'exec', netns, 'sysctl', '-qw', ...settings]);
}

function run(command: string, argv: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, argv, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${argv.join(' ')}: ${stderr}`);
}
