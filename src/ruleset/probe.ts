/** One live connect that proves, or disproves, the rules: sent inside the pod's netns as a uid that is not the proxy's. */
export interface Probe {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
  /** `redirected`: must land on `outboundPort`. `untouched`: must not. */
  readonly expect: 'redirected' | 'untouched';
  readonly outboundPort: number;
  /** The setting it proves, for logs and errors: `excludeOutboundPorts 9300`. */
  readonly reason: string;
}
