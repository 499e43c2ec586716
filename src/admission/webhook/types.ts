/** What the parts of the webhook know of each other. */

/** A certificate as it is served and as it is to be trusted, all PEM. */
export interface Certificate {
  /** The leaf first, then whatever leads to a CA. */
  readonly chain: string;
  readonly key: string;
  /** CAs the API server shall trust, one PEM each; undefined where somebody else keeps the CA bundle. */
  readonly authorities: readonly string[] | undefined;
  /** Those of them by which this certificate is known. */
  readonly anchors: readonly string[];
  /** Wall clock, milliseconds. */
  readonly notAfterMs: number;
}

/** Where certificates come from: made by ourselves and kept in a Secret, or files that somebody else keeps. */
export interface CertificateSource {
  /** Calls `onCertificate` for every usable certificate, a newer one each time, until `signal` aborts. Never throws for what may pass. */
  run(onCertificate: (certificate: Certificate) => void, signal: AbortSignal): Promise<void>;
}

/** The annotations of Namespaces, as watched. */
export interface Namespaces {
  /** Those of one Namespace; asks the API server where the watch does not know it. Throws `ApiUnavailable`, `ApiRefused` or `ApiReply`. */
  annotationsOf(name: string): Promise<Readonly<Record<string, string>>>;
  /** The same, asking the API server in any case. Undefined: there is no such Namespace. */
  askedAfresh(name: string): Promise<Readonly<Record<string, string>> | undefined>;
  /** Names of the Namespaces that say `initialize: "true"`, sorted. */
  optedIn(): readonly string[];
  synced(): boolean;
  /** False while the watch gets nothing through: what it knows may be old. */
  current(): boolean;
}

/** What the API server is told to send us. */
export interface Registration {
  /** Opted-in Namespaces, sorted. */
  readonly namespaces: readonly string[];
  /** CAs in PEM; undefined where somebody else keeps the bundle. */
  readonly authorities: readonly string[] | undefined;
}

/** What has to be true before the API server may be sent here. */
export interface Readiness {
  readonly certificate: boolean;
  readonly configuration: boolean;
  readonly namespaces: boolean;
}
