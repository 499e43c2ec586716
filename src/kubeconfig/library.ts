/**
 * The one class that is taken of the Kubernetes library. A file of its own, because of a library that is imported as a whole when it is
 * needed the bundler must keep everything: 17 MB rather than 3.
 */
export { KubeConfig } from '@kubernetes/client-node';
