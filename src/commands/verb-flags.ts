import { BACKEND_CHOICES } from '../backend/choose.ts';
import type { Flag } from '../config/flag.ts';

/** The flags of verbs on manifests and netns; those of the agent stand in config/flags.ts. */
export type VerbFlag = Pick<Flag<unknown>, 'name' | 'placeholder' | 'brief'> &
  Partial<Pick<Flag<unknown>, 'env' | 'fallback'>> & {
    /** Few possible values, for completion, where they are others than CHOICES says. */
    readonly choices?: readonly string[];
  };

export const MANIFEST = {
  filename: {
    name: 'filename',
    placeholder: 'FILE',
    brief: 'Manifest: a Pod, anything with a pod template, or a List; - is standard input',
  },
  namespaceFile: {
    name: 'namespace-file',
    placeholder: 'FILE',
    brief:
      'Manifest of the Namespace, also of objects that name none; without it the namespace is one without annotations',
  },
};

export const NETNS = { netns: { name: 'netns', placeholder: 'PATH', brief: 'Path of the network namespace' } };

export const RENDERER = {
  backend: {
    name: 'backend',
    placeholder: 'NAME',
    brief: 'nft or iptables; nft if not given',
    choices: ['nft', 'iptables'],
  },
};

export const PACKET = {
  from: {
    name: 'from',
    placeholder: 'WHO',
    brief: 'app: a process of the application. proxy: Envoy. outside: somebody who connects to the pod',
  },
  to: {
    name: 'to',
    placeholder: 'URL',
    brief: 'tcp://ADDRESS:PORT or udp://ADDRESS:PORT; brackets around IPv6; pod, pod6 and localhost are addresses too',
  },
  uid: {
    name: 'uid',
    placeholder: 'NUMBER',
    brief: "Uid of the sending process; the container's runAsUser, or 1000, if not given",
  },
  gid: {
    name: 'gid',
    placeholder: 'NUMBER',
    brief: "Gid of the sending process; the container's runAsGroup, or 1000, if not given",
  },
  interface: {
    name: 'interface',
    placeholder: 'NAME',
    brief: 'Where it leaves or arrives; eth0, or lo within the pod, if not given',
  },
  rules: {
    name: 'rules',
    placeholder: 'WHICH',
    brief: 'met: the rules that apply; all: also those that were asked and do not, with the reason; met if not given',
  },
};

export const OUTPUT = { output: { name: 'output', placeholder: 'FORMAT', brief: 'text or json' } };

/** Of verbs that print the manifest itself. */
export const MANIFEST_OUTPUT = {
  output: {
    name: 'output',
    placeholder: 'FORMAT',
    brief: 'yaml or json; as the input if not given',
    choices: ['yaml', 'json'],
  },
};

/** By `flagKey`. */
export const ALIASES: Readonly<Record<string, string>> = { f: 'filename', n: 'namespaceFile', o: 'output' };

/** Flags with few possible values, for completion; a test compares with what their parsers take. */
export const CHOICES: Readonly<Record<string, readonly string[]>> = {
  backend: BACKEND_CHOICES,
  nri: ['auto', 'off'],
  containerRuntime: ['auto', 'containerd', 'crio'],
  enableInboundIpv6: ['true', 'false'],
  enroll: ['annotated', 'injected'],
  from: ['app', 'proxy', 'outside'],
  ipv6: ['both', 'istio'],
  istioInboundInterceptionMode: ['REDIRECT', 'TPROXY', 'NONE'],
  logLevel: ['debug', 'info', 'warn', 'error'],
  output: ['text', 'json'],
  rules: ['met', 'all'],
};
