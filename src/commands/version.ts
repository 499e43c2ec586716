/** The product's version; the bundle has it built in, a checkout says so. */
export function productVersion(): string {
  const { PRODUCT_VERSION } = globalThis as { PRODUCT_VERSION?: string };
  return PRODUCT_VERSION ?? 'development';
}
