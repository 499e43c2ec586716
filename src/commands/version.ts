declare global {
  /** Put in by the bundler (scripts/build.ts). */
  var PRODUCT_VERSION: string | undefined;
}

/** The product's version; the bundle has it built in, a checkout says so. */
export function productVersion(): string {
  return globalThis.PRODUCT_VERSION ?? 'development';
}
