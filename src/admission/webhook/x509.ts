/**
 * What is used of the X.509 library, by name: it is published as CommonJS, and a bundler gives an `import()` of that no names.
 * To be loaded by make-certificate.ts alone, which prepares the ground.
 */
export {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
