/** Ports of the proxy, as Istio's sidecar has them. */
export const PORTS = { outbound: 15001, inbound: 15006, admin: 15000, application: 9080, outside: 8080 } as const;

/** Names by which Envoy's replies, access log and counters tell which listener a request came through. */
export const LISTENERS = { outbound: 'virtualOutbound', inbound: 'virtualInbound' } as const;

/** Header that Envoy adds to each reply that passed it. */
export const PASSED_HEADER = 'x-passed';

/**
 * An Envoy bootstrap with the two listeners of an Istio sidecar, in both families: 15001 sends each request on to where the application
 * meant it to go (the connection's original destination), 15006 hands it to the application on loopback.
 */
export function envoyBootstrap(): object {
  return {
    admin: { address: socket('127.0.0.1', PORTS.admin) },
    static_resources: {
      listeners: [
        listener(LISTENERS.outbound, PORTS.outbound, 'original_destination'),
        listener(LISTENERS.inbound, PORTS.inbound, 'application'),
      ],
      clusters: [
        {
          name: 'original_destination',
          type: 'ORIGINAL_DST',
          lb_policy: 'CLUSTER_PROVIDED',
          connect_timeout: '2s',
        },
        {
          name: 'application',
          type: 'STATIC',
          connect_timeout: '2s',
          load_assignment: {
            cluster_name: 'application',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket('127.0.0.1', PORTS.application) } }] }],
          },
        },
      ],
    },
  };
}

function listener(name: string, port: number, cluster: string): object {
  return {
    name,
    address: socket('0.0.0.0', port),
    additional_addresses: [{ address: socket('::', port) }],
    listener_filters: [
      // Asks the kernel where the connection went before it was redirected.
      { name: 'original_dst', typed_config: type('listener.original_dst.v3.OriginalDst', {}) },
    ],
    filter_chains: [{ filters: [{ name: 'http', typed_config: connectionManager(name, cluster) }] }],
  };
}

function connectionManager(name: string, cluster: string): object {
  return type('network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: name,
    access_log: [accessLog(name)],
    http_filters: [{ name: 'router', typed_config: type('http.router.v3.Router', {}) }],
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
      response_headers_to_add: [{ header: { key: PASSED_HEADER, value: name } }],
    },
  });
}

function accessLog(name: string): object {
  const text =
    `${name}: %REQ(:METHOD)% http://%REQ(:AUTHORITY)%%REQ(:PATH)% %RESPONSE_CODE%, ` +
    'from %DOWNSTREAM_REMOTE_ADDRESS%, original destination %DOWNSTREAM_LOCAL_ADDRESS%, sent on to %UPSTREAM_HOST%\n';
  const path = '/dev/stdout';
  const fields = { path, log_format: { text_format_source: { inline_string: text } } };
  return {
    name: 'access_log',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', ...fields },
  };
}

function type(name: string, fields: object): object {
  return { '@type': `type.googleapis.com/envoy.extensions.filters.${name}`, ...fields };
}

function socket(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}
