import { Code, ConnectError } from '@connectrpc/connect';
import type { FakeSandbox, RuntimeWays } from './fake-runtime.ts';
import { NamespaceMode } from './gen/api_pb.ts';

/** A runtime as it answers: recorded where it was run, else as its source says; cut to what the agent or its tests look at. */
export interface RecordedRuntime extends RuntimeWays {
  readonly sandboxes: readonly FakeSandbox[];
  /** Where the netns of the sandbox `POD_SANDBOX` is, if the runtime itself says it. */
  readonly netnsPath: string | undefined;
}

/** The id of an ordinary pod's sandbox, ready with its network. */
export const POD_SANDBOX = 'cc4fdd41462e8b1afb197a32469206abb3bacfef0c2b3dd9c49c61d86616e038';
const HOST_SANDBOX = '067bddb4f6f8b3c578a22f8ff157c181fa4b21705e983518e0ef7efa08ed649e';
const STOPPED_SANDBOX = 'd4a37be424fa8fb8c5fea85c9f3981df5b2487e509e1fab980f50cee835f2e99';

const NETWORK = { ip: '10.88.0.7', additionalIps: [{ ip: 'fd00:88::7' }] };
const NOT_FOUND = (id: string) =>
  new ConnectError(`an error occurred when try to find sandbox: sandbox "${id}": not found`, Code.NotFound);

/** `namespaces` of a runtimeSpec; with the host's network there is none of that type. */
function spec(netnsPath: string | undefined): object {
  const network = netnsPath === undefined ? [] : [{ type: 'network', path: netnsPath }];
  return {
    ociVersion: '1.0.2',
    linux: { namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'mount' }, ...network] },
  };
}

const CNI_NETNS = '/var/run/netns/cni-3343941c-8697-b5cf-e8d4-413aa4f690b2';
const CRIO_NETNS = '/var/run/netns/de64b107-708c-45f9-81d5-f8725ffcfe16';

export const RECORDED: Readonly<Record<string, RecordedRuntime>> = {
  'containerd 1.6': {
    name: 'containerd',
    version: '1.6.20~ds1',
    unknownSandbox: NOT_FOUND,
    netnsPath: CNI_NETNS,
    sandboxes: sandboxes(
      (netnsPath, pid) => ({
        pid,
        processStatus: 'running',
        netNamespaceClosed: false,
        config: { dns_config: { servers: ['10.96.0.10'] } },
        runtimeSpec: spec(netnsPath),
      }),
      CNI_NETNS,
    ),
  },
  'CRI-O': {
    name: 'cri-o',
    version: '1.34.0',
    unknownSandbox: crioUnknown,
    netnsPath: CRIO_NETNS,
    sandboxes: sandboxes((netnsPath, pid) => ({ image: 'pause:3.10', pid, runtimeSpec: spec(netnsPath) }), CRIO_NETNS),
  },
  // drop_infra_ctr, which is the default: nothing runs in a sandbox but the pod's own containers.
  'CRI-O without an infra container': {
    name: 'cri-o',
    version: '1.34.0',
    unknownSandbox: crioUnknown,
    netnsPath: CRIO_NETNS,
    sandboxes: sandboxes((netnsPath) => ({ runtimeSpec: spec(netnsPath) }), CRIO_NETNS),
  },
  'cri-dockerd': {
    name: 'docker',
    version: '26.1.5+dfsg1',
    unknownSandbox: (id) => new ConnectError(`Error response from daemon: No such container: ${id}`, Code.Unknown),
    listsWholeSeconds: true,
    netnsPath: undefined,
    sandboxes: sandboxes(() => undefined, ''),
  },
};

function crioUnknown(id: string): ConnectError {
  return new ConnectError(
    `could not find pod "${id}": pod sandbox with ID starting with ${id} not found`,
    Code.NotFound,
  );
}

/** An ordinary pod, one with the host's network, one that has stopped. */
function sandboxes(
  infoOf: (netnsPath: string | undefined, pid: number) => object | undefined,
  netnsPath: string,
): readonly FakeSandbox[] {
  const info = (document: object | undefined) => (document === undefined ? {} : { info: JSON.stringify(document) });
  const createdAtNs = 1_795_901_745_817_191_097n;
  return [
    { id: POD_SANDBOX, podUid: 'pod', createdAtNs, network: NETWORK, info: info(infoOf(netnsPath, 1706)) },
    {
      id: HOST_SANDBOX,
      podUid: 'host',
      createdAtNs,
      network: {},
      linux: { namespaces: { options: { network: NamespaceMode.NODE } } },
      info: info(infoOf(undefined, 3859)),
    },
    {
      id: STOPPED_SANDBOX,
      podUid: 'stopped',
      createdAtNs,
      ready: false,
      network: {},
      info: info(infoOf(undefined, 0)),
    },
  ];
}
